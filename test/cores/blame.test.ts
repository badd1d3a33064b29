import { expect, test } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { Desk, QUORUM } from './fixture.ts'

const threw = { code: 'E_TASK_THREW', blame: 'program' } as const
const crashed = { code: 'E_UNIT_CRASHED', blame: 'machine' } as const
const slow = { code: 'E_TIMEOUT', blame: 'time' } as const

/** Whichever of the peers holds the unit ends it so. */
function holderEnds(desk: Desk, unit: number, value: Parameters<Desk['ends']>[2]): string {
  const peer = [...desk.held.keys()].find((id) => desk.holds(id).includes(unit))
  if (peer === undefined) throw new RangeError(`nobody holds unit ${unit}`)
  desk.ends(peer, [unit], value)
  return peer
}

test('the program fails on two peers: the unit fails, no third is asked', () => {
  const desk = new Desk()
  desk.up('a', 'b', 'c')
  desk.job(1)
  const first = holderEnds(desk, 0, threw)
  expect(desk.seen('failed')).toEqual([])
  const second = holderEnds(desk, 0, threw)
  expect(second).not.toBe(first)
  expect(desk.seen('failed')).toMatchObject([{ unit: 0, code: 'E_TASK_THREW', blame: 'program', attempts: 2 }])
  expect(desk.seen('settled')).toHaveLength(1)
})

test('the program fails on the only peer there is: the unit fails at once', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(1)
  desk.endsAll('a')
  desk.job(1, {}, 'other')
  desk.ends('a', [0], threw, 'other')
  expect(desk.seen('failed')).toMatchObject([{ job: 'other', attempts: 1 }])
})

test('the second peer leaves before it confirms the failure: the first is believed', () => {
  const desk = new Desk()
  desk.up('a', 'b')
  desk.job(1)
  const first = holderEnds(desk, 0, threw)
  desk.down(first === 'a' ? 'b' : 'a')
  expect(desk.seen('failed')).toMatchObject([{ code: 'E_TASK_THREW', attempts: 1 }])
})

test('a failure one peer claims does not stand against a value another finds', () => {
  const desk = new Desk()
  desk.up('a', 'b')
  desk.job(1)
  const slanderer = holderEnds(desk, 0, threw)
  holderEnds(desk, 0, '5')
  expect(desk.seen('accepted')).toMatchObject([{ value: '5', attempts: 2 }])
  expect(desk.seen('evidence')).toMatchObject([{ peer: slanderer, unit: 0, kind: 'faulty' }])
})

test('with a quorum a failure needs the agreement of two peers, however few there are', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(1, QUORUM)
  desk.ends('a', [0], threw)
  expect(desk.seen('failed')).toEqual([])
  expect(desk.progress().waiting).toMatchObject([{ reason: 'quorum-short', units: 1 }])
  desk.up('b')
  desk.ends('b', [0], threw)
  expect(desk.seen('failed')).toMatchObject([{ code: 'E_TASK_THREW', attempts: 2 }])
})

test('a machine that fails a unit is avoided by it, and noted when another runs it', () => {
  const desk = new Desk()
  desk.up('a', 'b')
  desk.job(1)
  const faulty = holderEnds(desk, 0, crashed)
  const sound = holderEnds(desk, 0, '5')
  expect(sound).not.toBe(faulty)
  expect(desk.seen('evidence')).toMatchObject([{ peer: faulty, unit: 0, kind: 'faulty' }])
})

test('a machine that failed a unit gets it again only if nobody else comes, later each time', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(1, { retries: 2 })
  for (const ms of [1_000, 2_000]) {
    desk.ends('a', [0], crashed)
    desk.pass(ms - 1, ['a'])
    expect(desk.holds('a')).toEqual([])
    expect(desk.progress().waiting).toMatchObject([{ reason: 'backoff', units: 1 }])
    desk.pass(1, ['a'])
    expect(desk.holds('a')).toEqual([0])
  }
  desk.ends('a', [0], crashed)
  expect(desk.seen('failed')).toMatchObject([{ code: 'E_UNIT_CRASHED', attempts: 3 }])

  desk.job(1, {}, 'other')
  desk.ends('a', [0], crashed, 'other')
  desk.up('b')
  expect(desk.holds('b')).toEqual([0])
})

test('retries are further attempts, then the unit fails with its own code', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(1, { retries: 2 })
  for (let i = 0; i < 3; i++) {
    expect(desk.holds('a')).toEqual([0])
    desk.ends('a', [0], slow)
  }
  expect(desk.seen('failed')).toMatchObject([{ code: 'E_TIMEOUT', blame: 'time', attempts: 3 }])
})

test('a code nobody knows becomes E_RETRIES with its message kept', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(1, { retries: 0 })
  desk.ends('a', [0], { code: 'E_MADE_UP', blame: 'time' })
  expect(desk.seen('failed')).toMatchObject([{ code: 'E_RETRIES', message: 'it failed' }])
})

test('a faulty host is not fed: an hour of failures costs some dozens of units, not thousands', () => {
  const desk = new Desk()
  desk.up('faulty')
  desk.job(100_000, { retries: LIMITS.RETRIES_MAX })
  let fed = 0
  while (desk.now < 3_600_000) {
    const units = desk.holds('faulty')
    fed += units.length
    if (units.length > 0) desk.ends('faulty', units, crashed)
    desk.pass(500, ['faulty'])
  }
  expect(fed).toBeGreaterThan(20)
  expect(fed).toBeLessThan(100)
})

test('a peer that fails few of its units is not rested', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(5_000, { retries: LIMITS.RETRIES_MAX })
  for (let i = 0; i < 1_000; i++) {
    desk.now += 1
    desk.ends('a', desk.holds('a').slice(0, 1), i % 10 === 0 ? crashed : '1')
  }
  expect(desk.seat('a').rest).toBeNull()
})

test('the deadline fails what is undecided, some thousands a step, and takes units back', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(10_000, { deadlineMs: 60_000 }, 'job', { settled: [0, 1], ageMs: 50_000 })
  desk.pass(9_999, ['a'])
  expect(desk.seen('failed')).toEqual([])
  desk.now += 1
  const first = desk.step({ type: 'tick' })
  expect(first.filter(({ type }) => type === 'failed')).toHaveLength(LIMITS.SETTLED_PER_STEP_MAX)
  while (desk.scheduler.nextWake() === desk.now) desk.step({ type: 'tick' })
  expect(desk.seen('failed')).toHaveLength(9_998)
  expect(new Set(desk.seen('failed').map(({ code }) => code))).toEqual(new Set(['E_DEADLINE']))
  expect(desk.seen('settled')).toHaveLength(1)
  expect(desk.holds('a')).toEqual([])
})
