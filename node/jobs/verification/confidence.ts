/**
 * Verification by confidence: a unit is accepted when the leading group of agreeing results is right with the
 * probability asked for, on the assumptions stated; until then the fewest further voices that would get there.
 */

import { LIMITS } from '../../../protocol/limits.ts'
import type { Agree } from '../../../protocol/manifest.ts'
import { type Group, groupsOf, relationOf } from './agreement.ts'
import { add, doubt, logOdds, type Tally, tallyOf } from './credibility.ts'
import { type Assumptions, NEWCOMER } from './credit.ts'
import type { About, JudgedVoice, Verdict, Verification, Voter } from './verification.ts'

export type Confidence = {
  /** The least probability with which an accepted value is right; below 1. */
  goal: number
  agree: Agree
  assumed: Assumptions
  /** Whether chance has it that the unit is checked: the same at every call, and not to be foreseen by workers. */
  isChecked: (unit: number) => boolean
}

/** Agreement is a survived check for those who agree when it is right with this probability, even before it is enough. */
const CHECK_CREDIBLE = 0.99
/** A group waits for its peers' credit, rather than for another voice, if this many checks more would do. */
const PATIENCE_CHECKS = 3
/** For so many checks after a stranger is first believed alone, its words are withheld. */
export const NEWLY_CHECKS = 100
const STRANGER: Voter = { trust: 'stranger', credit: NEWCOMER }

type Standing = { group: Group; tally: Tally }

export function createConfidence({ goal, agree, assumed, isChecked }: Confidence): Verification {
  const relation = relationOf(agree)
  const doubtMax = (1 - goal) / goal
  const checkDoubtMax = Math.max((1 - CHECK_CREDIBLE) / CHECK_CREDIBLE, doubtMax)

  function judge(
    voices: readonly JudgedVoice[],
    answers: ReadonlyMap<string, boolean>,
    others: number,
    { unit, check = false, final = false, next = STRANGER }: About = { unit: 0 },
  ): Verdict {
    const { groups, unknown } = groupsOf(voices, relation, answers)
    if (unknown.length > 0) return { kind: 'compare', pairs: unknown }
    const [lead, ...rest] = ranked(groups, assumed)
    if (lead === undefined) return { kind: 'needs', copies: copiesFrom([], [], 1, next) ?? 1 }
    const { group, tally } = lead
    const rivals = rest.map((rival) => rival.tally)
    const enough = doubt(tally, rivals) <= doubtMax
    const least = leastVoices(enough, rivals.length > 0, group.said.ok, others, () => check || isChecked(unit))
    const agreed = group.voices.map(({ peer }) => peer)
    const certain = enough || (rivals.length === 0 && doubt(tally, []) <= checkDoubtMax)
    const checked = certain && tally.voices >= 2 ? agreed : []
    if (enough && tally.voices >= least) {
      if (tally.voices === 1 && others > 0 && !final && isWithheld(group.voices)) return { kind: 'withheld' }
      const wrong = doubt(tally, rivals)
      const against = voices.map(({ peer }) => peer).filter((peer) => !agreed.includes(peer))
      return group.said.ok
        ? { kind: 'accepted', digest: group.said.digest, agreed, against, checked, error: wrong / (1 + wrong) }
        : { kind: 'failed', failure: group.said, agreed, against, checked }
    }
    const later = rivals.length === 0 && isPatient(tally, tallyOf(group.voices, assumed, PATIENCE_CHECKS))
    const room = LIMITS.UNIT_VOICES_MAX - voices.length
    // Where voices like the next would never do, those heard may, once they have survived more checks.
    const copies = copiesFrom(group.voices, rivals, least, next, later, room) ?? (later && room > 0 ? 1 : null)
    if (copies === null) return { kind: 'impossible' }
    return { kind: 'needs', copies, later, checked }
  }

  /**
   * The least number of further voices like `next` that would be enough if they agree, or would be after a little
   * patience if none is had yet; null: more than there is room for.
   */
  function copiesFrom(
    heard: readonly JudgedVoice[],
    rivals: readonly Tally[],
    least: number,
    next: Voter,
    patient = false,
    room: number = LIMITS.UNIT_VOICES_MAX,
  ): number | null {
    const value = heard[0]?.said.ok ?? true
    const [now, soon] = [tallyOf(heard, assumed), tallyOf(heard, assumed, PATIENCE_CHECKS)]
    for (let copies = 1; copies <= room; copies++) {
      add(now, next, assumed, value)
      add(soon, next, assumed, value, PATIENCE_CHECKS)
      const enough = doubt(now, rivals) <= doubtMax || (!patient && rivals.length === 0 && isPatient(now, soon))
      if (enough && now.voices >= least) return copies
    }
    return null
  }

  /** Who earns credit to cheat has it soonest when it is first believed: what it says then waits for checks that follow. */
  function isWithheld(voices: readonly JudgedVoice[]): boolean {
    const unvouched = voices.every(({ trust, vouched }) => trust === 'stranger' && vouched !== true)
    return unvouched && doubt(tallyOf(voices, assumed, -NEWLY_CHECKS), []) > doubtMax
  }

  /**
   * The agreement counts as a check, and with a few checks more elsewhere it would be enough. Only where agreement by
   * itself says something (bad results agree half of the time at most): colluders would wait as well, see `opening`.
   */
  function isPatient(now: Tally, soon: Tally): boolean {
    const tells = now.voices >= 2 && now.spread - now.widest >= Math.LN2
    return tells && doubt(now, []) <= checkDoubtMax && doubt(soon, []) <= doubtMax
  }

  /**
   * If the goal is reached without any history, all copies go out at once. Otherwise the first alone: colluders who hold
   * every copy at the same time could agree to lie just there, and their history would show nothing; so the first must
   * speak before it can know who follows.
   */
  function opening(unit: number, first: Voter, next: Voter): number {
    const copies = Math.max(copiesFor(first, next), isChecked(unit) ? 2 : 1)
    return copiesFor({ trust: first.trust }, { trust: next.trust }) <= copies ? copies : 1
  }

  /** How many voices in all, if they agree: the first, and others like `next`. */
  function copiesFor(first: Voter, next: Voter): number {
    const heard: JudgedVoice = { ...first, peer: '', independence: [], said: { ok: true, digest: '', value: '' } }
    if (doubt(tallyOf([heard], assumed), []) <= doubtMax) return 1
    return 1 + (copiesFrom([heard], [], 1, next) ?? LIMITS.UNIT_VOICES_MAX)
  }

  return { copies: 1, keepsValues: true, judge, opening }
}

/**
 * A value: one word is not enough against another, however good its credit, nor where the unit is checked and somebody
 * could check it. A failure of the program: a second peer must see it too, where there is one.
 */
function leastVoices(
  enough: boolean,
  disputed: boolean,
  value: boolean,
  others: number,
  checked: () => boolean,
): number {
  if (disputed) return 2
  if (others === 0 || !enough) return 1
  return !value || checked() ? 2 : 1
}

/** Groups with no voice in common, the most credible first, of equals the first by name; a voice counts with the best it agrees with. */
function ranked(groups: Group[], assumed: Assumptions): Standing[] {
  const standings: Standing[] = []
  let left = groups
  while (left.length > 0) {
    let best: Standing | null = null
    for (const group of left) {
      const tally = tallyOf(group.voices, assumed)
      const lead = best === null ? 1 : logOdds(tally) - logOdds(best.tally)
      if (best === null || lead > 0 || (lead === 0 && group.key < best.group.key)) best = { group, tally }
    }
    if (best === null) break
    standings.push(best)
    left = without(left, best.group)
  }
  return standings
}

function without(groups: Group[], { key, voices: gone }: Group): Group[] {
  return groups
    .filter((group) => group.key !== key)
    .map((group) => ({ ...group, voices: group.voices.filter((voice) => !gone.includes(voice)) }))
    .filter((group) => group.voices.length > 0)
}
