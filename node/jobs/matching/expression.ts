/**
 * CEL expressions over `peer`: typed, bounded, and numbers compare and combine whether written `2` or `2.0`.
 * A field the peer does not have (a label nobody set) makes an expression not true; it is never an error.
 */

import { type ASTNode, Environment, type ParseResult } from '@marcbachmann/cel-js'
import type { Ad } from '../../../protocol/ad.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'

/** A peer as an expression sees it. */
export type Candidate = {
  id: string
  ad: Ad
  trust: 'self' | 'member' | 'stranger'
  role: string
  /** For how long it has been blocked here, milliseconds. */
  blockedMs?: number
}

type Expression = { readonly source: string; evaluate(candidate: Candidate): unknown; readonly ast: ASTNode }

const KiB = 1024n
/** What an expression may be by itself to be taken for one of these. */
const TYPES = { bool: ['bool', 'dyn'], number: ['int', 'uint', 'double', 'dyn'], text: ['string', 'dyn'] }

const environment = createEnvironment()

/** @throws E_EXPRESSION with the position, if it does not parse, is not of type `wanted`, or is over a bound. */
export function compileExpression(source: string, wanted: keyof typeof TYPES, field: string): Expression {
  if (source.length > LIMITS.EXPRESSION_MAX_CHARS) {
    throw new TalkootError('E_EXPRESSION', `${field}: longer than ${LIMITS.EXPRESSION_MAX_CHARS} characters`)
  }
  const checked = environment.check(source)
  if (!checked.valid) throw located(field, source, checked.error)
  if (checked.type === undefined || !TYPES[wanted].includes(checked.type)) {
    throw new TalkootError('E_EXPRESSION', `${field}: is of type ${checked.type}, must be a ${wanted}`)
  }
  const parsed: ParseResult = environment.parse(source)
  refuseCostly(parsed.ast, field)
  const evaluate = (candidate: Candidate): unknown => {
    try {
      return parsed({ peer: viewOf(candidate) })
    } catch {
      // A label that is not set, a division by zero: this peer does not fit.
      return undefined
    }
  }
  return { source, evaluate, ast: parsed.ast }
}

/** Work that grows faster than the expression is long: backtracking patterns and nested loops. */
function refuseCostly(ast: ASTNode, field: string): void {
  let loops = 0
  const visit = (part: unknown): void => {
    if (Array.isArray(part)) for (const item of part) visit(item)
    if (typeof part !== 'object' || part === null || !('op' in part) || !('args' in part)) return
    if (part.op === 'rcall' && Array.isArray(part.args)) {
      const [name] = part.args
      if (name === 'matches') throw new TalkootError('E_EXPRESSION', `${field}: matches() is not offered`)
      if (LOOPS.has(name)) loops += 1
      if (loops > LOOPS_MAX) throw new TalkootError('E_EXPRESSION', `${field}: at most ${LOOPS_MAX} loops`)
    }
    visit(part.args)
  }
  visit(ast)
}

const LOOPS = new Set(['all', 'exists', 'exists_one', 'map', 'filter'])
const LOOPS_MAX = 2

function createEnvironment(): Environment {
  const limits = { maxAstNodes: LIMITS.EXPRESSION_MAX_NODES, maxDepth: 32, maxListElements: 64, maxMapEntries: 64 }
  const created = new Environment({ limits })
    .registerVariable({
      name: 'peer',
      schema: {
        id: 'string',
        role: 'string',
        trust: 'string',
        name: 'string',
        version: 'string',
        os: 'string',
        arch: 'string',
        cpus: 'int',
        memory: 'int',
        disk: 'int',
        speed: 'double',
        freeSlots: 'int',
        runtimes: 'list<string>',
        labels: 'map<string, string>',
        reach: 'string',
        strangers: 'bool',
      },
    })
    .registerConstant('KiB', 'int', KiB)
    .registerConstant('MiB', 'int', KiB ** 2n)
    .registerConstant('GiB', 'int', KiB ** 3n)
    .registerConstant('TiB', 'int', KiB ** 4n)
  const operators: Record<string, (a: number, b: number) => number> = {
    '+': (a, b) => a + b,
    '-': (a, b) => a - b,
    '*': (a, b) => a * b,
    '/': (a, b) => a / b,
  }
  for (const [operator, apply] of Object.entries(operators)) {
    const mixed = (a: number | bigint, b: number | bigint) => apply(Number(a), Number(b))
    created.registerOperator(`int ${operator} double: double`, mixed)
    created.registerOperator(`double ${operator} int: double`, mixed)
  }
  created.registerOperator('int == double: bool', (a: bigint, b: number) => Number(a) === Number(b))
  return created
}

function viewOf({ id, ad, trust, role }: Candidate): Record<string, unknown> {
  const { cpus, memory, disk, freeSlots, runtimes } = ad
  return {
    ...ad,
    id,
    role,
    trust,
    cpus: BigInt(cpus),
    memory: BigInt(memory),
    disk: BigInt(disk),
    freeSlots: BigInt(freeSlots),
    runtimes: runtimes.map((runtime) => runtime.kind),
  }
}

function located(
  field: string,
  source: string,
  error: (Error & { summary?: string; range?: { start: number } }) | undefined,
) {
  const at = error?.range?.start ?? 0
  const reason = error?.summary ?? error?.message ?? 'not a CEL expression'
  return new TalkootError('E_EXPRESSION', `${field}: ${reason}, at character ${at + 1} of \`${source}\``, {
    meta: { field, position: at },
  })
}
