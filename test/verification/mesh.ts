/**
 * A mesh without a network: in each round every peer, in an order drawn anew, says what it found and takes another unit.
 * So each has one unit in hand while others decide, and a thousand results take a millisecond.
 */

import { type Peer, RIGHT } from './adversaries.ts'
import type { Chance } from './chance.ts'

/** A way to verify: it is asked for the next unit of a peer and told what the peer said. */
export interface Rule {
  /** A unit for the peer, or -1: nothing now. */
  next(peer: number): number
  hear(peer: number, unit: number, value: number): void
  /** The peer will not answer; its unit goes elsewhere. */
  lost(peer: number, unit: number): void
  /** Every unit is decided. May find that some should be looked at again. */
  finished(): boolean
  outcome(): Outcome
}

export type Outcome = {
  accepted: number
  wrong: number
  failed: number
  /** Honest peers that are believed no more at the end. */
  honestLost: number
  /** Peers at fault that were found out. */
  caught: number
}

export type Run = Outcome & { units: number; executions: number; rounds: number }

/** Rounds without any decision after which nothing more is expected. */
const IDLE_ROUNDS_MAX = 200

export function runMesh(rule: Rule, peers: readonly Peer[], units: number, chance: Chance): Run {
  const hands = peers.map((peer, id) => ({ id, peer, unit: -1, turn: 0, credit: 0 }))
  let [executions, rounds, idle] = [0, 0, 0]
  for (; idle < IDLE_ROUNDS_MAX && !rule.finished(); rounds++) {
    chance.shuffle(hands)
    let moved = false
    for (const hand of hands) {
      hand.credit += hand.peer.speed
      for (; hand.credit >= 1; hand.credit -= 1) {
        if (hand.unit >= 0) {
          const { id, unit, turn } = hand
          const value = hand.peer.answer({ unit, turn, peer: id, chance })
          hand.turn += 1
          hand.unit = -1
          executions += 1
          if (value === null) rule.lost(id, unit)
          else rule.hear(id, unit, value)
          moved = true
        }
        hand.unit = rule.next(hand.id)
        if (hand.unit >= 0) hand.peer.given?.(hand.unit, hand.id)
      }
    }
    idle = moved ? 0 : idle + 1
  }
  return { ...rule.outcome(), units, executions, rounds }
}

export const isWrong = (value: number): boolean => value !== RIGHT
