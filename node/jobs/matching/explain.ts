/** Why a job can or cannot be placed: clause by clause, how many of the peers known fail it. */

import type { Candidate } from './expression.ts'
import { clausesOf, type Wanted } from './policy.ts'

type MatchReport = {
  /** Peers looked at, and how many of them satisfy every clause. */
  peers: number
  matching: number
  /** In the order they are checked: how many peers each excludes by itself, and how many are left after it. */
  clauses: { clause: string; excludes: number; left: number }[]
}

/** @throws E_EXPRESSION */
export function explainMatch(policy: Wanted, candidates: readonly Candidate[]): MatchReport {
  let left = [...candidates]
  const clauses = clausesOf(policy).map(({ text, holds }) => {
    const excludes = candidates.filter((candidate) => !holds(candidate)).length
    left = left.filter(holds)
    return { clause: text, excludes, left: left.length }
  })
  return { peers: candidates.length, matching: left.length, clauses }
}
