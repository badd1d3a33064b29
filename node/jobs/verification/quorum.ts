/** Verification by quorum: `agree` peers that agree, of at most `of` that are heard. `none` is a quorum of one. */

import type { Agree, Verify } from '../../../protocol/manifest.ts'
import { groupsOf, type Relation, relationOf } from './agreement.ts'
import type { JudgedVoice, SaidFailure, Verdict, Verification } from './verification.ts'

type Leading = { digest: string; size: number } | null
type Asked = { verify: Exclude<Verify, { kind: 'confidence' }>; agree: Agree }

export function createQuorum(policy: Asked): Verification {
  const relation = relationOf(policy.agree)
  if (policy.verify.kind === 'none') {
    return { copies: 1, keepsValues: false, judge: (voices, _, others) => judgeFirst(voices, others) }
  }
  const { agree, of } = policy.verify
  return {
    copies: agree,
    keepsValues: policy.agree.kind !== 'exact' && agree > 1,
    judge: (voices, answers, others) => judgeQuorum({ agree, of }, relation, voices, answers, others),
  }
}

/** The first value is taken. A failure must be repeated by a second peer, where there is one. */
function judgeFirst(voices: readonly JudgedVoice[], others: number): Verdict {
  for (const { said, peer } of voices) {
    if (said.ok) {
      const against = voices.filter((voice) => voice.peer !== peer).map((voice) => voice.peer)
      return { kind: 'accepted', digest: said.digest, agreed: [peer], against }
    }
  }
  return failedBy(voices, others === 0 ? 1 : 2) ?? { kind: 'needs', copies: 1 }
}

function judgeQuorum(
  { agree, of }: { agree: number; of: number },
  relation: Relation,
  voices: readonly JudgedVoice[],
  answers: ReadonlyMap<string, boolean>,
  others: number,
): Verdict {
  const { leading, unknown } = leadingGroup(voices, relation, answers)
  if (leading !== null && leading.size >= agree) return acceptedBy(leading.digest, relation, voices, answers)
  const repeats = agree === 1 && others === 0 ? 1 : Math.min(Math.max(2, agree), of)
  const failed = failedBy(voices, repeats)
  if (failed !== null) return failed
  if (unknown.length > 0) return { kind: 'compare', pairs: unknown }
  const best = Math.max(leading?.size ?? 0, largestFailure(voices)?.peers.length ?? 0)
  const left = of - voices.length
  const copies = Math.max(1, agree - best)
  return copies > left ? { kind: 'impossible' } : { kind: 'needs', copies }
}

/** The largest group among the values said, of equals the one of the smallest digest; and the pairs that must be compared before it is known. */
export function leadingGroup(
  voices: readonly JudgedVoice[],
  relation: Relation,
  answers: ReadonlyMap<string, boolean>,
): { leading: Leading; unknown: [string, string][] } {
  const { groups, unknown } = groupsOf(voices, relation, answers)
  let leading: Leading = null
  for (const { key, said, voices: agreeing } of groups) {
    const size = agreeing.length
    if (!said.ok || (leading !== null && size < leading.size)) continue
    if (leading === null || size > leading.size || key < leading.digest) leading = { digest: key, size }
  }
  return { leading, unknown }
}

function acceptedBy(
  digest: string,
  relation: Relation,
  voices: readonly JudgedVoice[],
  answers: ReadonlyMap<string, boolean>,
): Verdict {
  const centre = voices.find(({ said }) => said.ok && said.digest === digest)?.said
  const agreed: string[] = []
  const against: string[] = []
  for (const { peer, said } of voices) {
    const same = centre?.ok && said.ok && (said.digest === digest || relation(centre, said, answers) === true)
    if (same) agreed.push(peer)
    else against.push(peer)
  }
  return { kind: 'accepted', digest, agreed, against }
}

function failedBy(voices: readonly JudgedVoice[], repeats: number): Verdict | null {
  const largest = largestFailure(voices)
  if (largest === null || largest.peers.length < repeats) return null
  const against = voices.map((voice) => voice.peer).filter((peer) => !largest.peers.includes(peer))
  return { kind: 'failed', failure: largest.failure, agreed: largest.peers, against }
}

/** The failure code said by most peers; of equals, the first by name. */
function largestFailure(voices: readonly JudgedVoice[]): { failure: SaidFailure; peers: string[] } | null {
  if (voices.every(({ said }) => said.ok)) return null
  const byCode = new Map<string, { failure: SaidFailure; peers: string[] }>()
  for (const { peer, said } of voices) {
    if (said.ok) continue
    const known = byCode.get(said.code)
    if (known === undefined) byCode.set(said.code, { failure: said, peers: [peer] })
    else known.peers.push(peer)
  }
  let largest: { failure: SaidFailure; peers: string[] } | null = null
  for (const group of byCode.values()) {
    const lead = group.peers.length - (largest?.peers.length ?? 0)
    if (largest === null || lead > 0 || (lead === 0 && group.failure.code < largest.failure.code)) largest = group
  }
  return largest
}
