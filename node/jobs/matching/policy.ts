/** What a job asks of the peers it runs on: its `require`, and what every job of its kind needs. */

import { type ASTNode, serialize } from '@marcbachmann/cel-js'
import type { Manifest, Policy } from '../../../protocol/manifest.ts'
import { REASON_CODES, type Reason } from '../../../protocol/reasons.ts'
import type { RuntimeKind } from '../../../protocol/runtime-kinds.ts'
import { type Bound, boundOf } from './bound.ts'
import { type Candidate, compileExpression } from './expression.ts'

export type MatchedPolicy = {
  /** Why the peer may not be given units of the job; null: it may. */
  misfit(candidate: Candidate): Reason | null
  /** Higher is tried first; null: the policy has no `rank`, or it has no value for this peer. */
  rank(candidate: Candidate): number | null
  /** Copies of a unit go to peers of which it is the same; the same for all if the policy has no `alike`. */
  alike(candidate: Candidate): string
}

/** One thing a job asks for, as a person would write it. */
export type Clause = {
  text: string
  /** What a peer is not given units for, if it does not hold. */
  reason: Reason
  /** It is a part of `require`, which could do without it. */
  asked: boolean
  holds(candidate: Candidate): boolean
  /** For a clause that bounds a number of peers. */
  bound: Bound | null
}

/** `runtime`: of the task; `js` if not said. */
export type Wanted = Pick<Policy, 'require' | 'cpus' | 'memoryMiB'> & { runtime?: RuntimeKind }

const MiB = 1024 * 1024

/** @throws E_EXPRESSION */
export function compilePolicy(policy: Wanted & Pick<Policy, 'rank' | 'alike'>): MatchedPolicy {
  const clauses = clausesOf(policy)
  const rank = policy.rank.trim() === '' ? null : compileExpression(policy.rank, 'number', 'rank')
  const alike = policy.alike.trim() === '' ? null : compileExpression(policy.alike, 'text', 'alike')
  return {
    alike: (candidate) => String(alike?.evaluate(candidate) ?? ''),
    misfit: (candidate) => misfitOf(clauses, candidate),
    rank: (candidate) => {
      const value = Number(rank?.evaluate(candidate) ?? Number.NaN)
      return Number.isFinite(value) ? value : null
    },
  }
}

/** As the job of a manifest wants it. */
export const wantedOf = ({ policy, task }: Pick<Manifest, 'policy' | 'task'>): Policy & Wanted => ({
  ...policy,
  runtime: task.runtime,
})

/** The parts of `require` joined by `&&`, after what the job needs by itself. All must hold. @throws E_EXPRESSION */
export function clausesOf({ require, cpus, memoryMiB, runtime = 'js' }: Wanted): Clause[] {
  const own: Clause[] = [
    { text: 'offers cores', reason: 'no-cores', asked: false, holds: ({ ad }) => ad.cpus > 0, bound: null },
    {
      text: `runs ${runtime} units`,
      reason: 'no-match',
      asked: false,
      holds: ({ ad }) => ad.runtimes.some(({ kind }) => kind === runtime),
      bound: null,
    },
    ...(cpus > 1 ? [severalCores(cpus)] : []),
    {
      text: `offers the ${memoryMiB} MiB of one unit`,
      reason: 'own-limits',
      asked: false,
      holds: ({ ad }) => ad.memory >= memoryMiB * MiB,
      bound: {
        valueOf: ({ ad }) => ad.memory / MiB,
        towards: 'lower',
        relaxed: (mebibytes) => `offers the ${Math.floor(mebibytes)} MiB of one unit`,
      },
    },
    {
      text: 'runs work of strangers',
      reason: 'untrusted',
      asked: false,
      // To whom it is a stranger, whoever trusts it.
      holds: ({ ad, trust, role }) => (trust !== 'stranger' && role !== 'stranger') || ad.strangers,
      bound: null,
    },
    {
      text: 'is not blocked here',
      reason: 'blocked',
      asked: false,
      holds: ({ blockedMs }) => blockedMs === undefined,
      bound: null,
    },
  ]
  if (require.trim() === '') return own
  const whole = compileExpression(require, 'bool', 'require')
  const asked = conjuncts(whole.ast).map((part) => {
    const text = serialize(part)
    const compiled = compileExpression(text, 'bool', 'require')
    const holds = (candidate: Candidate) => compiled.evaluate(candidate) === true
    return { text, reason: 'no-match' as const, asked: true, holds, bound: boundOf(part) }
  })
  return [...own, ...asked]
}

const severalCores = (cpus: number): Clause => ({
  text: `offers the ${cpus} cores of one unit`,
  reason: 'own-limits',
  asked: false,
  holds: ({ ad }) => ad.cpus >= cpus,
  bound: {
    valueOf: ({ ad }) => ad.cpus,
    towards: 'lower',
    relaxed: (cores) => `offers the ${cores} cores of one unit`,
  },
})

/** Of the clauses that do not hold, the one that is furthest from being mended counts. */
function misfitOf(clauses: readonly Clause[], candidate: Candidate): Reason | null {
  let worst = -1
  for (const clause of clauses) {
    if (!clause.holds(candidate)) worst = Math.max(worst, REASON_CODES.indexOf(clause.reason))
  }
  return REASON_CODES[worst] ?? null
}

const conjuncts = (node: ASTNode): ASTNode[] => (node.op === '&&' ? node.args.flatMap(conjuncts) : [node])
