/** What a job asks of the peers it runs on: its `require`, and what every job of its kind needs. */

import { type ASTNode, serialize } from '@marcbachmann/cel-js'
import type { Policy } from '../../../protocol/manifest.ts'
import { type Candidate, compileExpression } from './expression.ts'

export type MatchedPolicy = {
  /** Whether the peer may be given units of the job. */
  fits(candidate: Candidate): boolean
  /** Higher is tried first; null: the policy has no `rank`, or it has no value for this peer. */
  rank(candidate: Candidate): number | null
}

/** One thing a job asks for, as a person would write it. */
export type Clause = { text: string; holds(candidate: Candidate): boolean }

type Needs = Pick<Policy, 'require' | 'rank' | 'memoryMiB'>

const MiB = 1024 * 1024

/** @throws E_EXPRESSION */
export function compilePolicy(policy: Needs): MatchedPolicy {
  const clauses = clausesOf(policy)
  const rank = policy.rank.trim() === '' ? null : compileExpression(policy.rank, 'number', 'rank')
  return {
    fits: (candidate) => clauses.every((clause) => clause.holds(candidate)),
    rank: (candidate) => {
      const value = Number(rank?.evaluate(candidate) ?? Number.NaN)
      return Number.isFinite(value) ? value : null
    },
  }
}

/** The parts of `require` joined by `&&`, after what the job needs by itself. All must hold. @throws E_EXPRESSION */
export function clausesOf({ require, memoryMiB }: Pick<Needs, 'require' | 'memoryMiB'>): Clause[] {
  const own: Clause[] = [
    { text: 'offers cores', holds: ({ ad }) => ad.cpus > 0 },
    { text: 'runs js units', holds: ({ ad }) => ad.runtimes.some((runtime) => runtime.kind === 'js') },
    { text: `offers the ${memoryMiB} MiB of one unit`, holds: ({ ad }) => ad.memory >= memoryMiB * MiB },
    { text: 'runs work of strangers', holds: ({ ad, trust }) => trust !== 'stranger' || ad.strangers },
  ]
  if (require.trim() === '') return own
  const whole = compileExpression(require, 'bool', 'require')
  const asked = conjuncts(whole.ast).map((part) => {
    const text = serialize(part)
    const compiled = compileExpression(text, 'bool', 'require')
    return { text, holds: (candidate: Candidate) => compiled.evaluate(candidate) === true }
  })
  return [...own, ...asked]
}

const conjuncts = (node: ASTNode): ASTNode[] => (node.op === '&&' ? node.args.flatMap(conjuncts) : [node])
