/** What a confidence is going to cost: executions of a sweep on these peers, and what each assumption adds to them. */

import type { Policy } from '../../protocol/manifest.ts'
import type { Plan } from '../../protocol/plan.ts'
import { likelyInFlight } from './scheduler/window.ts'
import { verificationOf } from './verification/by-policy.ts'
import { expectedLastChecks } from './verification/checked-units.ts'
import { NEWLY_CHECKS } from './verification/confidence.ts'
import { ASSUMED } from './verification/credit.ts'
import type { Credit, JudgedVoice, Verification, Voter } from './verification/verification.ts'

type Confidence = Extract<Policy['verify'], { kind: 'confidence' }>

/** `unitMs`: what a unit takes it; null: nobody knows. */
export type PlannedPeer = { trust: Voter['trust']; credit: Credit; slots: number; speed: number; unitMs: number | null }

/** Peers of one trust class, taken to be alike but for how much of its work each does, and its share of all. */
type Class = {
  trust: Voter['trust']
  checks: number
  share: number
  peers: readonly PlannedPeer[]
  shares: readonly number[]
}

/** More history makes no peer worth more copies. */
const CHECKS_SEEN_MAX = 10_000
const NO_ANSWERS: ReadonlyMap<string, boolean> = new Map()
/** What is compared with what is stated. */
const LOW_COLLUSION = 0.01
const KNOWN_CHECKS = 100

/** `first`: copies of the first units, before any more is known. */
export function confidencePlan(
  verify: Confidence,
  units: number,
  peers: readonly PlannedPeer[],
): { executions: number; first: number; costs: NonNullable<Plan['confidence']>['costs'] } {
  const cost = (asked: Partial<Confidence>, checks?: number) =>
    Math.round(executionsOf({ ...verify, ...asked }, units, classesOf(peers, checks)))
  const wider = Math.max(0.5, 1 - 10 * (1 - verify.goal))
  const costs = [
    { assumption: 'nobody has shown anything yet', executions: cost({}, 0) },
    { assumption: `each peer has survived ${KNOWN_CHECKS} checks`, executions: cost({}, KNOWN_CHECKS) },
    { assumption: 'all lies of strangers are the same (collusion 1)', executions: cost({ collusion: 1 }) },
    {
      assumption: `lies of strangers agree one time in a hundred (collusion ${LOW_COLLUSION})`,
      executions: cost({ collusion: LOW_COLLUSION }),
    },
    { assumption: `a confidence of ${Number(wider.toPrecision(9))} is enough`, executions: cost({ goal: wider }) },
  ]
  const [largest] = classesOf(peers).sort((a, b) => b.share - a.share)
  const first = largest === undefined ? 1 : copiesOf(verificationFor(verify), largest.trust, largest.checks)
  return { executions: cost({}), first, costs }
}

function executionsOf(verify: Confidence, units: number, classes: readonly Class[]): number {
  const verification = verificationFor(verify)
  return sum(classes.map((group) => executionsIn(verification, units * group.share, group)))
}

/**
 * While more than one copy is needed, each execution is a check that somebody survives. When it is one, what peers have in
 * their hands was given to two already: what is begun of it, or was asked for by another's word, is not taken back. From
 * then on a share is checked all the same, and some at the end.
 */
function executionsIn(verification: Verification, units: number, group: Class): number {
  const { trust, peers, shares } = group
  const believedAt = checksToBeBelieved(verification, trust)
  let [left, executions, checks] = [units, 0, group.checks]
  const decide = (wanted: number, copies: number) => {
    const decided = Math.min(left, wanted)
    left -= decided
    executions += decided * copies
  }
  while (checks < believedAt && left > 0) {
    const copies = copiesOf(verification, trust, checks)
    // Where the first is to speak alone, each begins a unit before anybody knows that another one wants a copy.
    const steps = copies === 2 ? believedAt - checks : isAtOnce(verification, trust, checks) ? 1 : copies
    decide((peers.length * steps) / copies, copies)
    checks += steps
  }
  if (checks > group.checks) {
    const ended = checks - group.checks
    const atOnce = isAtOnce(verification, trust, believedAt - 1)
    // Half of what peers have in their hands they are the first to run, where the first is to speak alone.
    const inPairs = sum(peers.map(({ slots, unitMs }) => (atOnce ? slots : likelyInFlight(slots, unitMs, ended) / 2)))
    decide(inPairs / 2, 2)
    checks += inPairs / peers.length
  }
  if (left === 0) return executions
  const alone = left * (1 + ASSUMED.checkShare)
  const newly = trust === 'stranger' ? Math.max(0, believedAt + NEWLY_CHECKS - checks) : 0
  const lastChecks = shares.map((share) =>
    expectedLastChecks({ results: (executions + alone) * share, alone: alone * share, newly }, ASSUMED.checkShare),
  )
  return executions + alone + sum(lastChecks)
}

/** Until its word alone is enough. */
function checksToBeBelieved(verification: Verification, trust: Voter['trust']): number {
  let [least, most] = [0, CHECKS_SEEN_MAX]
  while (least < most) {
    const checks = Math.floor((least + most) / 2)
    if (copiesOf(verification, trust, checks) > 1) least = checks + 1
    else most = checks
  }
  return least
}

/** Voices on a unit, if they agree. */
function copiesOf(verification: Verification, trust: Voter['trust'], checks: number): number {
  const voter = { trust, credit: { checks, caught: 0 } }
  const voice: JudgedVoice = { ...voter, peer: '', independence: [], said: { ok: true, digest: '', value: '' } }
  const verdict = verification.judge([voice], NO_ANSWERS, 1, { unit: 0, next: voter })
  return verdict.kind === 'needs' ? 1 + verdict.copies : 1
}

/** Whether all of them are asked for when the unit is given out. */
function isAtOnce(verification: Verification, trust: Voter['trust'], checks: number): boolean {
  const voter = { trust, credit: { checks, caught: 0 } }
  return (verification.opening?.(0, voter, voter) ?? verification.copies) > 1
}

/** No unit is checked beyond need: those that are count by their share. */
function verificationFor(verify: Confidence): Verification {
  const real = verificationOf({ verify, agree: { kind: 'exact' } }, new Uint8Array(1))
  return { ...real, judge: (voices, answers, _, about) => real.judge(voices, answers, 0, about) }
}

function classesOf(peers: readonly PlannedPeer[], checks?: number): Class[] {
  const rateOf = (some: readonly PlannedPeer[]) => sum(some.map(({ slots, speed }) => slots * speed))
  return (['self', 'member', 'stranger'] as const).flatMap((trust) => {
    const alike = peers.filter((peer) => peer.trust === trust)
    if (alike.length === 0) return []
    const mean = sum(alike.map(({ credit }) => credit.checks)) / alike.length
    const rate = rateOf(alike)
    const shares = alike.map(({ slots, speed }) => (slots * speed) / rate)
    return [{ trust, checks: Math.floor(checks ?? mean), share: rate / rateOf(peers), peers: alike, shares }]
  })
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0)
