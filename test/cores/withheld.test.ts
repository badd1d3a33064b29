/** Strangers newly believed alone: what they say waits until later words of theirs are confirmed. */

import { describe, expect, test } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { Desk } from './fixture.ts'

const CONFIDENCE = { verify: { kind: 'confidence', goal: 0.999, collusion: 0.01 } }

/** Peers with so many checks survived before. */
const shown = (checks: Record<string, number>): Desk =>
  new Desk({ credit: (peer) => ({ checks: checks[peer] ?? 0, caught: 0, ageMs: 0 }) })

describe('who is newly believed alone', () => {
  /** `new` has just shown enough; the others have long. */
  const believed = () => {
    const desk = shown({ new: 95, a: 5_000, b: 5_000 })
    desk.strangers('new', 'a', 'b')
    return desk
  }
  const alone = (desk: Desk) => desk.seen('accepted').filter(({ voices }) => voices.every(({ peer }) => peer === 'new'))
  const turn = (desk: Desk, says = '1') => {
    desk.endsAll('new', says)
    for (const peer of ['a', 'b']) desk.endsAll(peer)
    desk.pass(10, ['new', 'a', 'b'])
  }

  test('its words wait until later ones are confirmed, and say so', () => {
    const desk = believed()
    desk.job(3_000, CONFIDENCE)
    for (let i = 0; i < 3; i++) turn(desk)
    expect(alone(desk)).toEqual([])
    const waiting = desk.progress().waiting.find(({ reason }) => reason === 'unconfirmed')
    expect(waiting?.units).toBeGreaterThan(0)
    const open = Array.from({ length: 30 }, (_, unit) => desk.scheduler.unit('job', unit))
    expect(open.some((unit) => unit?.reason === 'unconfirmed')).toBe(true)
    for (let i = 0; i < 200 && alone(desk).length === 0; i++) turn(desk)
    expect(alone(desk).length).toBeGreaterThan(0)
    const checks = desk.seen('credit').findLast(({ peer }) => peer === 'new')?.checks ?? 0
    expect(checks).toBeGreaterThanOrEqual(95 + 24)
  })

  test('who cheats from then on has nothing accepted, and is caught by the first check', () => {
    const desk = believed()
    desk.job(3_000, CONFIDENCE)
    for (let i = 0; i < 400 && desk.seen('recall').length === 0; i++) turn(desk, 'lie')
    expect(desk.seen('recall')).toMatchObject([{ of: { peer: 'new' } }])
    expect(desk.seen('accepted').filter(({ value }) => value === 'lie')).toEqual([])
  })

  test('who cheats in a job too short for that is checked before anything of it is accepted', () => {
    const desk = believed()
    desk.job(60, CONFIDENCE)
    for (let i = 0; i < 100 && desk.seen('recall').length === 0; i++) turn(desk, 'lie')
    expect(desk.seen('caught')).toMatchObject([{ peer: 'new' }])
    expect(desk.seen('accepted').filter(({ value }) => value === 'lie')).toEqual([])
  })

  test('with nothing else left they are accepted, and cost at most the last checks, drawn among them', () => {
    const desk = believed()
    desk.job(12, CONFIDENCE)
    for (let i = 0; i < 40 && desk.seen('accepted').length < 12; i++) turn(desk)
    expect(desk.seen('accepted')).toHaveLength(12)
    expect(alone(desk).length).toBeGreaterThan(0)
    expect(desk.progress().executions).toBeLessThanOrEqual(14)
  })

  test('the deadline does not fail them', () => {
    const desk = believed()
    desk.job(3_000, { ...CONFIDENCE, deadlineMs: 1_000 })
    for (let i = 0; i < 5; i++) turn(desk)
    expect(alone(desk)).toEqual([])
    desk.pass(1_000, ['new', 'a', 'b'])
    expect(alone(desk).length).toBeGreaterThan(0)
  })

  test('they take up at most half of what may be undecided', () => {
    const desk = shown({ new: 95, a: 95 })
    desk.strangers('new', 'a')
    desk.job(60, CONFIDENCE)
    // Four values of this length are more than half of what is kept.
    const long = 'x'.repeat(LIMITS.UNDECIDED_VALUES_MAX_BYTES / 8)
    for (let i = 0; i < 8; i++) {
      desk.endsAll('new', long)
      desk.pass(10, ['new', 'a'])
    }
    expect(alone(desk).length).toBeGreaterThan(0)
  })
})
