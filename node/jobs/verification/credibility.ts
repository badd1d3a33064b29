/**
 * How likely the leading group of agreeing results is right. In the words of Sarmenta 2002, section 5, with c for the
 * chance that bad results agree:
 *
 *   L(a is right) = prod of 1-e in a  x  prod over every other group b of [prod of e in b x C(b)]
 *   L(all wrong)  = prod over every group of [prod of e x C]
 *   Cr(a)         = L(a is right) / (L(all wrong) + sum over every b of L(b is right))
 *
 * Divided by L(all wrong) each group is left with its odds R = prod of (1-e)/e / C, so Cr(a) = R(a) / (1 + sum of R).
 * C is the product of c over a group but for one voice, whose wrong value the others must hit; the one left out is the
 * least likely to collude, which is the cautious choice. All sums are of logarithms.
 */

import { type Assumptions, errorRate } from './credit.ts'
import type { JudgedVoice, Voter } from './verification.ts'

/** The evidence for a group, added up: ln R = weight + spread - widest. */
export type Tally = { voices: number; weight: number; spread: number; widest: number }

const COLLUSION_MIN = 1e-6

export const nothing = (): Tally => ({ voices: 0, weight: 0, spread: 0, widest: 0 })

/** The evidence of those who agree, had each survived `moreChecks` beyond its credit. */
export function tallyOf(group: readonly JudgedVoice[], assumed: Assumptions, moreChecks = 0): Tally {
  const tally = nothing()
  for (const voice of independent(group, assumed, moreChecks)) add(tally, voice, assumed, voice.said.ok, moreChecks)
  return tally
}

/**
 * One voice more. Values that are wrong agree by chance or by design; failures have a handful of codes between them, so
 * that they agree is worth nothing beyond the voices themselves.
 */
export function add(tally: Tally, voter: Voter, assumed: Assumptions, value: boolean, moreChecks = 0): void {
  const error = errorRate(voter, assumed, moreChecks)
  const apart = value ? -Math.log(Math.max(assumed.collusion[voter.trust], COLLUSION_MIN)) : 0
  tally.voices += 1
  tally.weight += Math.log((1 - error) / error)
  tally.spread += apart
  tally.widest = Math.max(tally.widest, apart)
}

export const logOdds = ({ weight, spread, widest }: Tally): number => weight + spread - widest

/** Cr of a group with these odds against rivals with those. */
export const credibility = (lead: Tally, rivals: readonly Tally[]): number => 1 / (1 + doubt(lead, rivals))

/** (1 - Cr) / Cr: exact where Cr is so near 1 that a difference would not be. */
export function doubt(lead: Tally, rivals: readonly Tally[]): number {
  const odds = logOdds(lead)
  let sum = Math.exp(-odds)
  for (const rival of rivals) sum += Math.exp(logOdds(rival) - odds)
  return sum
}

/** Strangers that share something speak with one voice, that of the most credible of them then; everybody else with their own. */
function independent(group: readonly JudgedVoice[], assumed: Assumptions, moreChecks: number): readonly JudgedVoice[] {
  if (group.length < 2) return group
  const heard = new Set<string>()
  const rate = (voice: JudgedVoice): number => errorRate(voice, assumed, moreChecks)
  // Sums of more than two numbers depend on their order in the last bit.
  const sorted = [...group].sort((a, b) => rate(a) - rate(b) || (a.peer < b.peer ? -1 : 1))
  return sorted.filter(({ trust, independence }) => {
    if (trust !== 'stranger') return true
    if (independence.some((shared) => heard.has(shared))) return false
    for (const shared of independence) heard.add(shared)
    return true
  })
}
