/** A peer that was given up on is not believed to be as fast as it was: it takes that long for a unit, until it ends one. */

import { expect, test } from 'vitest'
import { Desk } from './fixture.ts'

const TURN_MS = 50
const PEERS = ['fast', 'slow', 'other']

/** One turn: the peers named end the oldest unit they hold; the others show that they live. */
function turn(desk: Desk, peers: string[]): void {
  desk.pass(TURN_MS, PEERS)
  for (const peer of peers) desk.ends(peer, desk.holds(peer).slice(0, 1), '1')
}

/** `fast` stalls in mid-job, and `slow` runs its unit again and ends it first; `other` still has its last unit. */
function stalled(): Desk {
  const desk = new Desk()
  desk.up(...PEERS)
  desk.job(60)
  for (let i = 0; i < 6; i++) {
    turn(desk, ['fast'])
    turn(desk, PEERS)
  }
  const [stuck = -1] = desk.holds('fast')
  for (let i = 0; i < 200 && desk.holds('fast').includes(stuck); i++) {
    turn(desk, [])
    turn(desk, desk.holds('other').length > 1 ? ['slow', 'other'] : ['slow'])
  }
  expect(desk.holds('fast')).toEqual([])
  expect(desk.holds('slow')).toEqual([])
  expect(desk.holds('other')).toHaveLength(1)
  return desk
}

/** The last unit comes back. Who is given it? */
function comesBack(desk: Desk): string[] {
  const { length } = desk.all
  desk.down('other')
  return desk.all.slice(length).flatMap((effect) => (effect.type === 'run' ? [effect.peer] : []))
}

test('is passed over for one that was slower than it', () => {
  expect(comesBack(stalled())).toEqual(['slow'])
})
