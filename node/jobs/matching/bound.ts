/** A clause that bounds a number of the peer, such as `peer.memory >= 16 * GiB`: how far a peer is from it. */

import { type ASTNode, serialize } from '@marcbachmann/cel-js'
import { type Candidate, compileExpression } from './expression.ts'

export type Bound = {
  /** The peer's own number; not finite where it has none. */
  valueOf(candidate: Candidate): number
  /** Which way the bound must move to let more peers in. */
  towards: 'lower' | 'higher'
  /** The clause with the bound moved to `value`, rounded so that a peer with that value satisfies it. */
  relaxed(value: number): string
}

/** `a >= b` read from the other side. */
const MIRRORED: Record<string, string> = { '>': '<', '>=': '<=', '<': '>', '<=': '>=', '==': '==' }

const MiB = 1024 ** 2
const GiB = 1024 ** 3

/** Null for a clause of any other form. */
export function boundOf(clause: ASTNode): Bound | null {
  const mirrored = MIRRORED[clause.op]
  if (mirrored === undefined || !Array.isArray(clause.args)) return null
  const [left, right] = clause.args as ASTNode[]
  if (left === undefined || right === undefined || speaksOfPeer(left) === speaksOfPeer(right)) return null
  const [value, operator] = speaksOfPeer(left) ? [left, clause.op] : [right, mirrored]
  // Which way an equality misses is another thing for each peer.
  if (operator === '==') return null
  const text = serialize(value)
  let compiled: ReturnType<typeof compileExpression>
  try {
    compiled = compileExpression(text, 'number', 'require')
  } catch {
    return null
  }
  const least = operator.startsWith('>')
  return {
    valueOf: (candidate) => Number(compiled.evaluate(candidate) ?? Number.NaN),
    towards: least ? 'lower' : 'higher',
    relaxed: (number) => `${text} ${least ? '>=' : '<='} ${inUnits(text, number, least ? Math.floor : Math.ceil)}`,
  }
}

function speaksOfPeer(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(speaksOfPeer)
  if (typeof node !== 'object' || node === null || !('op' in node) || !('args' in node)) return false
  return (node.op === 'id' && node.args === 'peer') || speaksOfPeer(node.args)
}

/** Bytes as people write them, everything else to two places. */
function inUnits(text: string, value: number, round: (value: number) => number): string {
  const bytes = text === 'peer.memory' || text === 'peer.disk'
  if (!bytes) return String(round(value * 100) / 100)
  return value >= GiB ? `${round((value / GiB) * 10) / 10} * GiB` : `${round(value / MiB)} * MiB`
}
