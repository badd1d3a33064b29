/** Jobs that ask for a confidence: what the scheduler gives out, credits, withdraws and checks once more. */

import { describe, expect, test } from 'vitest'
import type { Recalled } from '../../node/jobs/scheduler/events.ts'
import type { SchedulerInit } from '../../node/jobs/scheduler/scheduler.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { adOf, Desk } from './fixture.ts'

const confidence = (goal = 0.999, collusion = 0.01) => ({ verify: { kind: 'confidence', goal, collusion } })

/** Peers with so many checks survived before; `-1`: caught once. */
const known = (checks: Record<string, number>): Partial<SchedulerInit> => ({
  credit: (peer) => {
    const shown = checks[peer]
    if (shown === undefined) return null
    return shown < 0 ? { checks: 0, caught: 1, ageMs: 0 } : { checks: shown, caught: 0, ageMs: 0 }
  },
})

const seen = (desk: Desk) => desk.seen('accepted').map(({ unit, value }) => [unit, value] as const)

describe('copies by what peers have shown', () => {
  test('newcomers whose lies seldom agree: two at once', () => {
    const desk = new Desk()
    desk.strangers('a', 'b', 'c')
    desk.job(1, confidence())
    expect(['a', 'b', 'c'].filter((peer) => desk.holds(peer).length > 0)).toHaveLength(2)
  })

  test('newcomers who may plot: as many as it takes without any history, at once', () => {
    const desk = new Desk()
    const peers = ['a', 'b', 'c', 'd', 'e', 'f']
    desk.strangers(...peers)
    desk.job(1, confidence(0.999, 1))
    const holders = peers.filter((peer) => desk.holds(peer).length > 0)
    expect(holders).toHaveLength(5)
    for (const peer of holders) desk.endsAll(peer)
    expect(seen(desk)).toEqual([[0, '1']])
    expect(desk.seen('accepted')[0]?.error).toBeLessThan(0.001)
  })

  test('where history counts: the first alone, who cannot know who follows', () => {
    const desk = new Desk(known({ a: 5, b: 5, c: 5 }))
    desk.strangers('a', 'b', 'c')
    desk.job(1, confidence(0.999, 1))
    const holders = () => ['a', 'b', 'c'].filter((peer) => desk.holds(peer).length > 0)
    const [first = ''] = holders()
    expect(holders()).toEqual([first])
    desk.endsAll(first)
    expect(holders()).toHaveLength(1)
    expect(holders()).not.toContain(first)
    for (const peer of holders()) desk.endsAll(peer)
    expect(seen(desk)).toEqual([[0, '1']])
  })

  test('a copy for a straggler, beside who has not spoken: those that plot have one voice between them', () => {
    const desk = new Desk(known({ a: 5, b: 5, c: 5, d: 5 }))
    const peers = ['a', 'b', 'c', 'd']
    desk.strangers(...peers)
    desk.job(1, { ...confidence(0.999, 1), timeoutMs: 1_000 })
    const holders = () => peers.filter((peer) => desk.holds(peer).length > 0)
    expect(holders()).toHaveLength(1)
    desk.pass(2_000, peers)
    const together = holders()
    expect(together.length).toBeGreaterThan(1)
    for (const peer of together) desk.endsAll(peer, 'lie')
    expect(seen(desk)).toEqual([])
    const [apart = ''] = holders()
    expect(together).not.toContain(apart)
    desk.endsAll(apart, 'lie')
    expect(seen(desk)).toEqual([[0, 'lie']])
  })

  test('who is known well: one', () => {
    const desk = new Desk(known({ a: 500, b: 500 }))
    desk.strangers('a', 'b')
    desk.job(10, confidence())
    for (let i = 0; i < 4; i++) for (const peer of ['a', 'b']) desk.endsAll(peer)
    expect(seen(desk).length).toBeGreaterThanOrEqual(5)
  })

  test('a newcomer has one unit until others have spoken; a member as many as it can run', () => {
    const desk = new Desk()
    desk.step({ type: 'peer.up', peer: 'a', trust: 'stranger', ad: adWith(4, 'a') })
    desk.step({ type: 'peer.up', peer: 'b', trust: 'stranger', ad: adWith(4, 'b') })
    desk.step({ type: 'peer.up', peer: 'm', trust: 'member', ad: adWith(4, 'm') })
    desk.job(100, confidence())
    expect([desk.holds('a').length, desk.holds('b').length]).toEqual([1, 1])
    expect(desk.holds('m').length).toBeGreaterThanOrEqual(4)
  })

  test('newcomers that wait for one another all go on', () => {
    const desk = new Desk()
    const peers = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    desk.strangers(...peers)
    desk.job(20, confidence(0.999, 1))
    finish(desk, peers)
    expect(seen(desk)).toHaveLength(20)
  })
})

describe('credit', () => {
  test('who is confirmed gains a check, once for each unit, and the ledger is told', () => {
    const desk = new Desk()
    desk.strangers('a', 'b')
    desk.job(3, confidence())
    finish(desk, ['a', 'b'])
    const last = new Map(desk.seen('credit').map(({ peer, checks }) => [peer, checks]))
    expect(last.get('a')).toBeCloseTo(3, 3)
    expect(last.get('b')).toBeCloseTo(3, 3)
  })

  test('who says another value than two others is caught: given no more, and what it decided is asked for again', () => {
    const desk = new Desk(known({ liar: 500, a: 50, b: 50 }))
    desk.strangers('liar', 'a', 'b', 'c')
    desk.job(40, confidence())
    const lied: number[] = []
    for (let i = 0; i < 200 && desk.seen('recall').length === 0; i++) {
      for (const peer of ['a', 'b', 'c']) desk.endsAll(peer)
      lied.push(...desk.holds('liar'))
      desk.endsAll('liar', 'lie')
      desk.pass(10)
    }
    expect(desk.seen('recall')).toEqual([{ type: 'recall', job: 'job', of: { peer: 'liar' } }])
    expect(desk.seat('liar')).toMatchObject({ distrusted: true, reason: 'untrusted', inFlight: 0 })
    expect(desk.seen('credit').findLast(({ peer }) => peer === 'liar')).toMatchObject({ checks: 0, caught: 1 })
    const wrong = desk.seen('accepted').filter(({ value }) => value === 'lie')
    expect(wrong.length).toBeGreaterThan(0)

    // The ledger answers: each of them is withdrawn, done again, and decided by others.
    desk.step({ type: 'recalled', job: 'job', units: wrong.map(toRecalled), last: true })
    const withdrawn = desk.seen('reopened').map(({ unit }) => unit)
    expect(withdrawn.sort()).toEqual(wrong.map(({ unit }) => unit).sort())
    finish(desk, ['a', 'b', 'c'])
    const values = new Map(seen(desk).map(([unit, value]) => [unit, value]))
    expect([...values.values()].every((value) => value === '1')).toBe(true)
    expect(values.size).toBe(40)
    expect(lied.length).toBeGreaterThan(0)
  })

  test('the job waits for what the ledger says', () => {
    const desk = new Desk(known({ liar: 500, a: 500, b: 500 }))
    desk.strangers('liar', 'a', 'b')
    desk.job(30, confidence())
    for (let i = 0; i < 200 && desk.seen('accepted').length < 30; i++) {
      desk.endsAll('liar', 'lie')
      for (const peer of ['a', 'b']) desk.endsAll(peer)
      desk.pass(10)
    }
    expect(desk.seen('recall').length).toBeGreaterThan(0)
    expect(desk.seen('settled')).toEqual([])
  })
})

describe('probation', () => {
  const glitch = () => {
    const desk = new Desk(known({ odd: -1, a: 500, b: 500, c: 500 }))
    desk.strangers('odd', 'a', 'b', 'c')
    desk.job(20_000, confidence())
    return desk
  }
  /** Others work on, so that there are settled units; `odd` says what it is asked. */
  const work = (desk: Desk, rounds: number, says = '1') => {
    for (let i = 0; i < rounds; i++) {
      for (const peer of ['a', 'b', 'c']) desk.ends(peer, desk.holds(peer).slice(0, 20), '1')
      desk.ends('odd', desk.holds('odd').slice(0, 20), says)
      desk.pass(200, ['odd', 'a', 'b', 'c'])
    }
  }
  const canaries = (desk: Desk) => desk.seen('run').filter(({ canary }) => canary === true)

  test('who was caught rests an hour, then is given settled units one at a time, and with ten right has work again', () => {
    const desk = glitch()
    work(desk, 30)
    expect(canaries(desk)).toEqual([])
    expect(desk.seat('odd').reason).toBe('untrusted')
    desk.pass(3_600_000, ['odd', 'a', 'b', 'c'])
    work(desk, 30)
    const given = canaries(desk)
    expect(given.length).toBeGreaterThanOrEqual(10)
    expect(given.every(({ peer, units }) => peer === 'odd' && units.length === 1)).toBe(true)
    expect(new Set(given.map(({ units: [unit] }) => unit)).size).toBe(given.length)
    expect(desk.seat('odd').distrusted).toBe(false)
    expect(desk.seen('run').some(({ peer, canary }) => peer === 'odd' && canary === undefined)).toBe(true)
  })

  test('who is wrong on one of them begins anew, and rests longer', () => {
    const desk = glitch()
    work(desk, 30)
    desk.pass(3_600_000, ['odd', 'a', 'b', 'c'])
    work(desk, 10, 'wrong')
    expect(canaries(desk)).toHaveLength(1)
    expect(desk.seen('credit').findLast(({ peer }) => peer === 'odd')?.caught).toBeCloseTo(2, 1)
    expect(desk.seat('odd').distrusted).toBe(true)
  })

  test('only the newest settled units are kept for it', () => {
    const desk = glitch()
    work(desk, 80)
    desk.pass(3_600_000, ['odd', 'a', 'b', 'c'])
    const decided = desk.seen('accepted').filter(({ voices }) => voices.length > 1)
    expect(decided.length).toBeGreaterThan(2 * LIMITS.CANARY_UNITS_KEPT_MAX)
    work(desk, 5)
    const newest = new Set(
      desk
        .seen('accepted')
        .filter(({ voices }) => voices.length > 1)
        .slice(-LIMITS.CANARY_UNITS_KEPT_MAX - 10)
        .map(({ unit }) => unit),
    )
    for (const {
      units: [unit = -1],
    } of canaries(desk))
      expect(newest.has(unit)).toBe(true)
  })
})

describe('the end of a job', () => {
  test('who was believed alone for long is checked once more; what agrees stands as it was', () => {
    const desk = new Desk(known({ a: 5_000, b: 5_000 }))
    desk.strangers('a', 'b')
    desk.job(400, confidence())
    for (let i = 0; i < 2_000 && desk.seen('recall').length === 0; i++) {
      for (const peer of ['a', 'b']) desk.endsAll(peer)
      desk.now += 1
    }
    const [recall] = desk.seen('recall')
    const units = recall !== undefined && 'units' in recall.of ? recall.of.units : []
    expect(units.length).toBeGreaterThan(0)
    expect(desk.seen('settled')).toEqual([])
    const decided = new Map(desk.seen('accepted').map((effect) => [effect.unit, effect]))
    const rows = units.flatMap((unit) => decided.get(unit) ?? []).map(toRecalled)
    desk.step({ type: 'recalled', job: 'job', units: rows, last: true })
    finish(desk, ['a', 'b'])
    expect(desk.seen('reopened').every(({ withdrawn }) => !withdrawn)).toBe(true)
    expect(desk.seen('accepted').filter(({ confirmed }) => confirmed)).toHaveLength(units.length)
    expect(desk.seen('settled')).toHaveLength(1)
  })

  test('after a restart the ledger is asked for what hangs on who was caught', () => {
    const desk = new Desk()
    desk.strangers('a')
    desk.job(10, confidence(), 'job', { settled: [0, 1, 2] })
    expect(desk.seen('recall')).toEqual([{ type: 'recall', job: 'job', of: { caught: true } }])
  })

  test('a unit decided before a restart and withdrawn since is given out once', () => {
    const desk = new Desk(known({ liar: -1 }))
    desk.strangers('a', 'b', 'c')
    desk.job(6, confidence(), 'job', { settled: [4] })
    const voices = [{ peer: 'liar', digest: '#lie', code: null }]
    const row = { unit: 4, ok: true, said: '#lie', value: 'lie', voices }
    desk.step({ type: 'recalled', job: 'job', units: [row], last: true })
    expect(desk.seen('reopened')).toEqual([{ type: 'reopened', job: 'job', unit: 4, withdrawn: true }])
    finish(desk, ['a', 'b', 'c'])
    expect(
      desk
        .seen('accepted')
        .map(({ unit }) => unit)
        .sort(),
    ).toEqual([0, 1, 2, 3, 4, 5])
    expect(desk.seen('settled')).toHaveLength(1)
  })
})

describe('a task that does not repeat', () => {
  test.each([
    ['strangers', 'stranger'],
    ['members', 'member'],
  ] as const)('%s: the job is stopped within 20 disagreements, and nobody is to blame', (_, trust) => {
    const desk = new Desk()
    const peers = ['a', 'b', 'c', 'd', 'e']
    for (const peer of peers) desk.step({ type: 'peer.up', peer, trust, ad: adWith(1, peer) })
    desk.job(10_000, confidence())
    let turn = 0
    for (let i = 0; i < 1_000 && desk.seen('stopped').length === 0; i++) {
      for (const peer of peers) {
        // Each result is another; now and then two are the same by chance.
        turn += 1
        for (const unit of desk.holds(peer)) desk.ends(peer, [unit], `${turn % 7 === 0 ? 'same' : turn}`)
      }
      desk.pass(10)
    }
    const [stopped] = desk.seen('stopped')
    expect(stopped?.finding).toMatchObject({ reason: 'not-repeatable' })
    expect(stopped?.finding.values?.[0]).not.toBe(stopped?.finding.values?.[1])
    expect(desk.progress().executions).toBeLessThan(80)
    expect(desk.progress().waiting).toMatchObject([{ reason: 'not-repeatable' }])
    expect(peers.flatMap((peer) => desk.holds(peer))).toEqual([])
    for (const peer of peers) expect(desk.seat(peer).distrusted).toBe(false)
    // Whoever lets it go on sees it stopped again.
    desk.step({ type: 'job.gate', job: 'job', gate: null })
    expect(peers.flatMap((peer) => desk.holds(peer)).length).toBeGreaterThan(0)
  })

  test('liars alone do not stop a job', () => {
    const desk = new Desk()
    const peers = ['a', 'b', 'c', 'd', 'e']
    desk.strangers(...peers, 'liar')
    desk.job(500, confidence())
    for (let i = 0; i < 3_000 && desk.seen('settled').length === 0; i++) {
      for (const peer of peers) if (desk.holds(peer).length > 0) desk.endsAll(peer)
      for (const unit of desk.holds('liar')) desk.ends('liar', [unit], `lie ${i}`)
      answerRecalls(desk)
      desk.pass(10)
    }
    expect(desk.seen('stopped')).toEqual([])
    expect(desk.seen('settled')).toHaveLength(1)
    expect(new Set(seen(desk).map(([, value]) => value))).toEqual(new Set(['1']))
  })
})

/** As the ledger would, from what was accepted. */
function answerRecalls(desk: Desk): void {
  const recalls = desk.seen('recall')
  const decided = new Map(desk.seen('accepted').map((effect) => [effect.unit, effect]))
  for (const { of } of recalls.slice(desk.answered)) {
    desk.answered += 1
    const units = [...decided.values()].filter(({ unit, voices }) =>
      'units' in of ? of.units.includes(unit) : voices.some(({ peer }) => 'peer' in of && peer === of.peer),
    )
    desk.step({ type: 'recalled', job: 'job', units: units.map(toRecalled), last: true })
  }
}

function finish(desk: Desk, peers: string[]): void {
  for (let i = 0; i < 2_000 && desk.seen('settled').length === 0; i++) {
    for (const peer of peers) if (desk.holds(peer).length > 0) desk.endsAll(peer)
    desk.pass(10)
  }
}

type Accepted = ReturnType<Desk['seen']>[number] & { type: 'accepted' }

const toRecalled = ({ unit, value, voices }: Accepted): Recalled => ({
  unit,
  ok: true,
  said: `#${value}`,
  value,
  voices,
})

const adWith = (cpus: number, peer: string) => adOf(peer, { cpus, strangers: true })
