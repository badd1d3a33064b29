/** What a confidence is going to cost: executions of a sweep on these peers, and what each assumption adds to them. */

import type { Policy } from '../../protocol/manifest.ts'
import type { Plan } from '../../protocol/plan.ts'
import { verificationOf } from './verification/by-policy.ts'
import { ASSUMED } from './verification/credit.ts'
import type { Credit, JudgedVoice, Verification, Voter } from './verification/verification.ts'

type Confidence = Extract<Policy['verify'], { kind: 'confidence' }>

/** A peer, and units it does in a unit of time. */
type PlannedPeer = { trust: Voter['trust']; credit: Credit; rate: number }

/** Peers of one trust class, taken to be alike. */
type Class = { trust: Voter['trust']; peers: number; checks: number; share: number }

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
  const first = largest === undefined ? 1 : copiesOf(verificationFor(verify), largest, largest.checks)
  return { executions: cost({}), first, costs }
}

function executionsOf(verify: Confidence, units: number, classes: readonly Class[]): number {
  const verification = verificationFor(verify)
  return classes.reduce((sum, group) => sum + executionsIn(verification, units * group.share, group), 0)
}

/**
 * While more than one copy is needed, each execution is a check that somebody survives: so many executions as there are
 * peers bring each one check further. Then it is one, and the share that is checked all the same.
 */
function executionsIn(verification: Verification, units: number, group: Class): number {
  let [left, executions] = [units, 0]
  for (let { checks } = group; checks < CHECKS_SEEN_MAX && left > 0; checks++) {
    const copies = copiesOf(verification, group, checks)
    if (copies === 1) break
    const decided = Math.min(left, group.peers / copies)
    left -= decided
    executions += decided * copies
  }
  return executions + left * (1 + ASSUMED.checkShare)
}

/** Voices on a unit, if they agree. */
function copiesOf(verification: Verification, { trust }: Class, checks: number): number {
  const voter = { trust, credit: { checks, caught: 0 } }
  const voice: JudgedVoice = { ...voter, peer: '', independence: [], said: { ok: true, digest: '', value: '' } }
  const verdict = verification.judge([voice], NO_ANSWERS, 1, { unit: 0, next: voter })
  return verdict.kind === 'needs' ? 1 + verdict.copies : 1
}

/** No unit is checked beyond need: those that are count by their share. */
function verificationFor(verify: Confidence): Verification {
  const real = verificationOf({ verify, agree: { kind: 'exact' } }, new Uint8Array(1))
  return { ...real, judge: (voices, answers, _, about) => real.judge(voices, answers, 0, about) }
}

function classesOf(peers: readonly PlannedPeer[], checks?: number): Class[] {
  const rate = peers.reduce((sum, peer) => sum + peer.rate, 0)
  return (['self', 'member', 'stranger'] as const).flatMap((trust) => {
    const alike = peers.filter((peer) => peer.trust === trust)
    if (alike.length === 0) return []
    const mean = alike.reduce((sum, { credit }) => sum + credit.checks, 0) / alike.length
    const share = alike.reduce((sum, peer) => sum + peer.rate, 0) / rate
    return [{ trust, peers: alike.length, checks: Math.floor(checks ?? mean), share }]
  })
}
