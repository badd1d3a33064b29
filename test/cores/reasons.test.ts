/** Why units wait and peers are idle, situation by situation, as the scheduler core says it. */

import { describe, expect, test } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { REASONS } from '../../protocol/reasons.ts'
import { adOf, Desk, QUORUM } from './fixture.ts'

const reasons = (desk: Desk, job = 'job') => desk.progress(job).waiting.map(({ reason }) => reason)

/** What nobody could run is said of the job, of its units, and of each peer. */
function expectReason(desk: Desk, reason: keyof typeof REASONS, ofPeer: keyof typeof REASONS = reason): void {
  expect(reasons(desk)).toEqual([reason])
  expect(desk.scheduler.unit('job', 0)?.reason).toBe(reason)
  for (const view of desk.scheduler.seats('job')) if (view.up) expect(view.reason).toBe(ofPeer)
}

test('nobody is there, nobody fits, and one that offers no cores is nobody', () => {
  const desk = new Desk()
  desk.job(1, { require: 'peer.cpus > 1' })
  expectReason(desk, 'no-peer')
  desk.step({ type: 'peer.up', peer: 'desk', trust: 'self', ad: adOf('desk', { cpus: 0 }) })
  expectReason(desk, 'no-peer', 'no-cores')
  desk.down('desk')
  desk.up('a')
  expectReason(desk, 'no-match')
})

test.each([
  ['the memory its owner offers is less than a unit needs', { memory: 1 }, 'member', 'own-limits'],
  ['it runs no work of strangers', {}, 'stranger', 'untrusted'],
] as const)('%s', (_, ad, trust, reason) => {
  const desk = new Desk()
  desk.job(1)
  desk.step({ type: 'peer.up', peer: 'a', trust, ad: adOf('a', ad) })
  expectReason(desk, reason)
})

test.each([
  ['E_OWN_LIMITS', 'own-limits'],
  ['E_DISK_BUDGET', 'own-limits'],
  ['E_NO_OS_SANDBOX', 'untrusted'],
  ['E_ROLE', 'refused'],
] as const)('a refusal with %s is %s', (code, reason) => {
  const desk = new Desk()
  desk.up('a')
  desk.job(1)
  desk.step({ type: 'job.refused', peer: 'a', job: 'job', code, retryAfterMs: null })
  expectReason(desk, reason)
})

test('a peer that fetches the files of the job has no units until it has them, and others run them meanwhile', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(10)
  const given = desk.holds('a')
  desk.step({ type: 'job.fetching', peer: 'a', job: 'job', bytes: 1, of: 9 })
  desk.step({ type: 'handback', peer: 'a', job: 'job', units: given, code: 'E_FETCHING' })
  expectReason(desk, 'fetching')
  expect(desk.seat('a').fetched).toEqual({ bytes: 1, of: 9 })
  for (let bytes = 2; bytes < 9; bytes++) {
    desk.pass(LIMITS.BEAT_MS, ['a'])
    desk.step({ type: 'job.fetching', peer: 'a', job: 'job', bytes, of: 9 })
    expect(desk.seat('a').inFlight).toBe(0)
  }
  expect(desk.progress().waiting).toEqual([{ reason: 'fetching', units: 10, sinceMs: 7 * LIMITS.BEAT_MS }])
  desk.up('b')
  expect(desk.holds('b').length).toBeGreaterThan(0)
  desk.step({ type: 'job.ready', peer: 'a', job: 'job' })
  expect(desk.seat('a').inFlight).toBeGreaterThan(0)
  expect(desk.seat('a').fetched).toBe(null)
})

test('a peer with room for no more is busy; one that handed its units back rests', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(100)
  expect(reasons(desk)).toEqual(['busy'])
  expect(desk.seat('a').reason).toBe(null)
  desk.step({ type: 'handback', peer: 'a', job: 'job', units: desk.holds('a'), code: 'E_DRAINING' })
  expectReason(desk, 'backoff')
  desk.pass(2_000, ['a'])
  desk.step({ type: 'handback', peer: 'a', job: 'job', units: desk.holds('a'), code: 'E_BUSY' })
  expectReason(desk, 'busy')
})

test('an owner’s pause: units handed back wait for the others, nothing is given, and the return is told and kept', () => {
  const desk = new Desk()
  const paused = (forMs: number, returnsInMs: number | null, seq: number) =>
    desk.step({ type: 'peer.ad', peer: 'a', ad: adOf('a', { seq, freeSlots: 0, paused: { forMs, returnsInMs } }) })
  desk.up('a')
  desk.job(100)
  desk.step({ type: 'handback', peer: 'a', job: 'job', units: desk.holds('a'), code: 'E_PAUSED' })
  desk.held.clear()
  // The ad comes a moment later.
  expectReason(desk, 'paused')
  paused(5_000, 60_000, 2)
  desk.pass(10_000, ['a'])
  expect(desk.holds('a')).toEqual([])
  expectReason(desk, 'paused')
  expect(desk.seat('a')).toMatchObject({ sinceMs: 15_000, returnsInMs: 50_000 })
  paused(20_000, null, 3)
  expect(desk.seat('a')).toMatchObject({ sinceMs: 20_000, returnsInMs: null })
  desk.up('b')
  expect(reasons(desk)).toEqual(['busy'])
  desk.step({ type: 'peer.ad', peer: 'a', ad: adOf('a', { seq: 4 }) })
  expect(desk.holds('a').length).toBeGreaterThan(0)
  expect(desk.seat('a')).toMatchObject({ reason: null, returnsInMs: null })
})

test('a peer that is paused and back at once is given units at once', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(100)
  const pause = { forMs: 0, returnsInMs: null }
  desk.step({ type: 'peer.ad', peer: 'a', ad: adOf('a', { seq: 2, paused: pause }) })
  desk.step({ type: 'handback', peer: 'a', job: 'job', units: desk.holds('a'), code: 'E_PAUSED' })
  desk.held.clear()
  desk.step({ type: 'peer.ad', peer: 'a', ad: adOf('a', { seq: 3 }) })
  expect(desk.holds('a').length).toBeGreaterThan(0)
})

test('fewer peers than must agree: the rest of them by what keeps them away', () => {
  const desk = new Desk()
  desk.up('a')
  desk.step({ type: 'peer.up', peer: 'b', trust: 'member', ad: adOf('b', { memory: 1 }) })
  desk.job(1, QUORUM)
  desk.endsAll('a')
  expect(reasons(desk)).toEqual(['quorum-short'])
  expect(desk.scheduler.unit('job', 0)).toMatchObject({
    reason: 'quorum-short',
    missing: 1,
    attempts: [{ peer: 'a', holding: 'voiced', said: { ok: true, digest: '#1' } }],
  })
  expect(desk.seat('a').reason).toBe('all-given')
  expect(desk.seat('b').reason).toBe('own-limits')
})

test('peers that were outvoted too often are trusted no more', () => {
  const desk = new Desk()
  desk.up('a', 'b', 'liar')
  desk.job(60, QUORUM)
  for (let round = 0; desk.seat('liar').reason !== 'untrusted'; round++) {
    if (round > 100) throw new Error(`never distrusted: ${JSON.stringify(desk.seat('liar'))}`)
    desk.endsAll('liar', 'wrong')
    desk.endsAll('a', 'right')
    desk.endsAll('b', 'right')
  }
  desk.down('a')
  desk.down('b')
  expect(reasons(desk)).toEqual(['untrusted'])
})

test('the nearest to running of what keeps peers away is the reason', () => {
  const desk = new Desk()
  desk.step({ type: 'peer.up', peer: 'small', trust: 'member', ad: adOf('small', { memory: 1 }) })
  desk.up('a')
  desk.job(10)
  desk.step({ type: 'job.refused', peer: 'a', job: 'job', code: 'E_ROLE', retryAfterMs: null })
  expect(reasons(desk)).toEqual(['refused'])
  desk.up('b')
  expect(reasons(desk)).toEqual(['busy'])
})

test('as many units are begun as may be', () => {
  const desk = new Desk()
  const peers = Array.from({ length: 2 }, (_, i) => `p${i}`)
  for (const peer of peers) {
    desk.step({ type: 'peer.up', peer, trust: 'member', ad: adOf(peer, { cpus: 4_096 }) })
  }
  // Two must agree, one of them never speaks: begun units pile up.
  desk.job(LIMITS.UNDECIDED_UNITS_MAX * 2, QUORUM)
  while (desk.holds('p0').length > 0) {
    desk.now += 5
    desk.endsAll('p0')
    desk.step({ type: 'peer.alive', peer: 'p1' })
  }
  expect(reasons(desk)).toEqual(['undecided-full', 'busy'])
  expect(desk.scheduler.load().undecidedUnits).toBe(LIMITS.UNDECIDED_UNITS_MAX)
  const last = LIMITS.UNDECIDED_UNITS_MAX * 2 - 1
  expect(desk.scheduler.unit('job', last)?.reason).toBe('undecided-full')
  expect(desk.seat('p0').reason).toBe('all-given')
})

describe('a gate', () => {
  test('takes back what runs and gives out nothing until it opens; late results count', () => {
    const desk = new Desk()
    desk.up('a')
    desk.job(10)
    const held = desk.holds('a')
    expect(held.length).toBeGreaterThan(0)
    desk.step({ type: 'job.gate', job: 'job', gate: { reason: 'held', forMs: 0 } })
    expect(desk.seen('revoke')).toEqual([{ type: 'revoke', peer: 'a', job: 'job', units: null }])
    desk.pass(5_000, ['a'])
    desk.up('b')
    expect([...desk.holds('a'), ...desk.holds('b')]).toEqual([])
    expectReason(desk, 'held')
    expect(desk.progress().waiting).toEqual([{ reason: 'held', units: 10, sinceMs: 5_000 }])
    desk.ends('a', [held[0] ?? 0], '1')
    expect(desk.progress().accepted).toBe(1)
    desk.step({ type: 'job.gate', job: 'job', gate: null })
    expect(desk.holds('a').length).toBeGreaterThan(0)
    expect(desk.holds('b').length).toBeGreaterThan(0)
  })

  test('may be there from the first, with the time it has stood already', () => {
    const desk = new Desk()
    desk.up('a')
    desk.job(3, {}, 'job', { gate: { reason: 'dependency', forMs: 60_000 } })
    expect(desk.progress().waiting).toEqual([{ reason: 'dependency', units: 3, sinceMs: 60_000 }])
    expect(desk.seen('run')).toEqual([])
  })

  test('does not keep a job from its deadline', () => {
    const desk = new Desk()
    desk.job(3, { deadlineMs: 1_000 }, 'job', { gate: { reason: 'held', forMs: 0 } })
    desk.pass(1_100)
    expect(desk.seen('failed').map(({ code }) => code)).toEqual(['E_DEADLINE', 'E_DEADLINE', 'E_DEADLINE'])
  })
})

describe('since when', () => {
  test('the last of the peers that could have run it left', () => {
    const desk = new Desk()
    desk.up('a', 'b')
    desk.pass(1_000, ['a', 'b'])
    desk.job(1_000)
    desk.pass(4_000, ['a', 'b'])
    desk.down('a')
    expect(desk.progress().waiting).toMatchObject([{ reason: 'busy', sinceMs: 4_000 }])
    desk.pass(2_000, ['b'])
    desk.down('b')
    desk.pass(1_000)
    expect(desk.scheduler.progress('job', 10_000)?.waiting).toEqual([
      { reason: 'no-peer', units: 1_000, sinceMs: 3_000 },
    ])
  })

  test('a rest began, and the units wait, however often it is told of again', () => {
    const desk = new Desk()
    desk.up('a')
    desk.job(10)
    desk.pass(1_000, ['a'])
    desk.step({ type: 'handback', peer: 'a', job: 'job', units: desk.holds('a'), code: 'E_DRAINING' })
    desk.pass(500, ['a'])
    desk.step({ type: 'job.refused', peer: 'a', job: 'job', code: 'E_BLOB', retryAfterMs: 20_000 })
    desk.pass(300, ['a'])
    expect(desk.progress().waiting).toEqual([{ reason: 'backoff', units: 10, sinceMs: 800 }])
    expect(desk.seat('a').sinceMs).toBe(800)
  })

  test('a peer that says the same again waits for no shorter', () => {
    const desk = new Desk()
    desk.step({ type: 'peer.up', peer: 'a', trust: 'member', ad: adOf('a', { memory: 1 }) })
    desk.job(1)
    desk.now = 4_000
    desk.step({ type: 'peer.ad', peer: 'a', ad: adOf('a', { memory: 2, seq: 2 }) })
    expect(desk.progress().waiting).toEqual([{ reason: 'own-limits', units: 1, sinceMs: 4_000 }])
    expect(desk.seat('a').sinceMs).toBe(4_000)
  })
})

test('a unit tells who had it, and what each did', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(1, { retries: 5 })
  desk.now = 100
  desk.ends('a', [0], { code: 'E_UNIT_CRASHED', blame: 'machine' })
  expect(desk.scheduler.unit('job', 0)).toMatchObject({
    reason: 'backoff',
    attempts: [
      { peer: 'a', holding: 'failed', givenMs: 100, said: { ok: false, code: 'E_UNIT_CRASHED', blame: 'machine' } },
    ],
  })
  desk.up('b')
  desk.now = 150
  expect(desk.scheduler.unit('job', 0, 150)).toMatchObject({
    reason: null,
    sinceMs: 50,
    attempts: [{ peer: 'a' }, { peer: 'b', holding: 'running', said: null }],
  })
  desk.endsAll('b')
  expect(desk.scheduler.unit('job', 0)).toBe(null)
})

test('every reason has a sentence that can stand within another, a mover and a way on', () => {
  for (const { says, hint } of Object.values(REASONS)) {
    expect(says).toMatch(/^[A-Z][^.]*\.$/)
    expect(hint).toMatch(/^[^A-Z]/)
  }
})
