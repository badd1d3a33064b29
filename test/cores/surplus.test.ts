/** Copies given out because a peer was not believed alone, when it is by now: those that nobody has begun are taken back. */

import { describe, expect, test } from 'vitest'
import { checkedUnits } from '../../node/jobs/verification/checked-units.ts'
import { adOf, Desk } from './fixture.ts'

const PEERS = ['new', 'b', 'c'] as const
const SLOTS = 4

/** One check more and `new` is believed alone. */
function nearly(collusion: number): Desk {
  const checks: Record<string, number> = { new: 91.5, b: 20, c: 20 }
  const desk = new Desk({ credit: (peer) => ({ checks: checks[peer] ?? 0, caught: 0, ageMs: 0 }) })
  for (const peer of PEERS) {
    desk.step({ type: 'peer.up', peer, trust: 'stranger', ad: adOf(peer, { cpus: SLOTS, strangers: true }) })
  }
  desk.job(1_000, { verify: { kind: 'confidence', goal: 0.999, collusion } })
  return desk
}

const isBelieved = (desk: Desk) => desk.seen('credit').some(({ peer, checks }) => peer === 'new' && checks > 92)
const takenBack = (desk: Desk) =>
  desk.seen('revoke').flatMap(({ peer, units }) => (units ?? []).map((unit) => ({ peer, unit })))
/** With the key of the desk. */
const isChecked = checkedUnits(new Uint8Array(32), 0.05)

describe('who is believed alone from now on', () => {
  /** Peers take turns and end as many units as they run, until it is. */
  const believed = () => {
    const desk = nearly(0.01)
    const before = new Map<string, number[]>()
    for (let i = 0; i < 20 && !isBelieved(desk); i++) {
      for (const peer of PEERS) {
        if (isBelieved(desk)) break
        desk.now += 10
        for (const other of PEERS) before.set(other, desk.holds(other))
        desk.ends(peer, desk.holds(peer).slice(0, SLOTS / 2), '1')
      }
    }
    return { desk, before }
  }

  test('what is given to two peers because it was not is left to it, but for what the other has begun and what is checked', () => {
    const { desk, before } = believed()
    const taken = takenBack(desk)
    expect(taken.length).toBeGreaterThan(1)
    for (const { peer, unit } of taken) {
      expect(peer).not.toBe('new')
      expect(before.get(peer)?.indexOf(unit)).toBeGreaterThanOrEqual(SLOTS)
      expect(desk.scheduler.isHeld('job', unit, 'new')).toBe(true)
      expect(desk.scheduler.unit('job', unit)?.missing).toBe(0)
      expect(isChecked(unit)).toBe(false)
    }
    for (const other of ['b', 'c']) {
      const both = (before.get(other) ?? []).slice(SLOTS).filter((unit) => before.get('new')?.includes(unit))
      expect(desk.holds(other).filter((unit) => both.includes(unit) && !isChecked(unit))).toEqual([])
    }
  })

  test('if it is gone before it has spoken, somebody else is given the unit', () => {
    const { desk } = believed()
    const units = new Set(takenBack(desk).map(({ unit }) => unit))
    desk.down('new')
    for (const unit of units) {
      const held = ['b', 'c'].some((peer) => desk.scheduler.isHeld('job', unit, peer))
      expect(held || desk.scheduler.unit('job', unit)?.missing === 1).toBe(true)
    }
  })

  test('what it said before that waits for later words of it, not for a copy that nobody has begun', () => {
    const desk = nearly(1)
    const said = desk.holds('new')
    desk.now += 10
    desk.endsAll('new')
    desk.now += 10
    desk.endsAll('b')
    const copies = desk.holds('b').filter((unit) => said.includes(unit))
    expect(copies.length).toBeGreaterThan(SLOTS + 1)
    desk.now += 10
    desk.ends('b', copies.slice(0, 1), '1')
    expect(isBelieved(desk)).toBe(true)
    const taken = takenBack(desk).filter(({ peer }) => peer === 'b')
    expect(taken.length).toBeGreaterThan(0)
    for (const { unit } of taken) {
      expect(copies.indexOf(unit)).toBeGreaterThan(SLOTS)
      expect(desk.scheduler.unit('job', unit)?.reason).toBe('unconfirmed')
    }
  })
})
