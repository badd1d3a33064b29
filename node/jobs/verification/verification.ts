/**
 * Verification: what the voices on one unit amount to. Pure, and of one shape for every way to verify, so that the
 * scheduler knows none of them.
 */

import type { Blame } from '../../../protocol/work.ts'

/** What one peer says about one unit: the value it found (by digest), or a failure that looks like the program's own. */
export type JudgedVoice = {
  peer: string
  /** How far the peer is believed before it has shown anything. */
  trust: 'self' | 'member' | 'stranger'
  /** What it shares with others that one person may run: a verifier may count those with any in common as one voice. */
  independence: readonly string[]
  /** What its peer has shown on other units than this one; a newcomer if not given. */
  credit?: Credit
  /** Words it gave after this one were confirmed: it had not turned for good when it gave it. */
  vouched?: boolean
  said: SaidValue | SaidFailure
}
/** What a peer has shown: checks survived since it was last caught, and how often it was caught. Both fade with age. */
export type Credit = { checks: number; caught: number }
/** A peer that might speak. */
export type Voter = Pick<JudgedVoice, 'trust' | 'credit'>
export type SaidValue = { ok: true; digest: string; value: string }
export type SaidFailure = { ok: false; code: string; message: string; blame: Blame }

export type Verdict =
  /**
   * `digest` is right; `agreed` said so, `against` said something else. `checked`: those of `agreed` whom an independent
   * peer confirmed, one survived check each. `error`: the probability that it is wrong all the same, where that is known.
   */
  | { kind: 'accepted'; digest: string; agreed: string[]; against: string[]; checked?: string[]; error?: number }
  /** The unit itself fails, for every peer. */
  | { kind: 'failed'; failure: SaidFailure; agreed: string[]; against: string[]; checked?: string[] }
  /**
   * That many more voices are needed, from peers not heard yet. `later`: not while there is other work, since those
   * heard agree and will do once they have survived a few more checks. `checked`: as above, already certain enough.
   */
  | { kind: 'needs'; copies: number; later?: boolean; checked?: string[] }
  /** One word, from a peer newly believed alone: enough once later words of it are confirmed, or when all else is done. */
  | { kind: 'withheld' }
  /** These pairs of digests must be compared first (`agree: function`), by `pairKey`. */
  | { kind: 'compare'; pairs: [string, string][] }
  /** No agreement can be reached any more. */
  | { kind: 'impossible' }

export interface Verification {
  /** Copies of each unit to give out at first, to as many peers. */
  readonly copies: number
  /** The same where it depends on the peer that is given the unit first, and on the peers like `next` to follow. */
  opening?(unit: number, first: Voter, next: Voter): number
  /** False: the values of undecided voices need not be kept, their digests do. */
  readonly keepsValues: boolean
  /**
   * Judges every voice heard on one unit; their order does not matter, and no two are of one peer.
   * `answers` holds what is known of pairs asked for by `compare`; `others` is how many further peers could be asked.
   */
  judge(voices: readonly JudgedVoice[], answers: ReadonlyMap<string, boolean>, others: number, about?: About): Verdict
}

/** What else a verdict may hang on. */
export type About = {
  unit: number
  /** The unit is checked by a second peer, whatever chance says. */
  check?: boolean
  /** There is nothing to wait for: nothing is withheld. */
  final?: boolean
  /** A peer like those that could be asked; a stranger without history if not given. */
  next?: Voter
}

/** Names a pair of values: the same whichever comes first. */
export const pairKey = (a: string, b: string): string => (a < b ? `${a} ${b}` : `${b} ${a}`)
