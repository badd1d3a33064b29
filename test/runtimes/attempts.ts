/** Units put to a sandbox, and what came of them. */

import type { Sandbox, UnitInput } from '../../node/runtimes/runtime.ts'
import type { Attempt } from '../../protocol/work.ts'

export const DEADLINE_MS = 120_000

export const collect = (sandbox: Sandbox, params: unknown[]): Promise<Attempt[]> =>
  attemptsOf(sandbox.run(inputs(params), AbortSignal.timeout(DEADLINE_MS)))

export async function attemptsOf(groups: AsyncIterable<Attempt[]>): Promise<Attempt[]> {
  const attempts: Attempt[] = []
  for await (const group of groups) attempts.push(...group)
  return attempts
}

export const inputs = (params: unknown[]): UnitInput[] =>
  params.map((of, unit) => ({ unit, params: JSON.stringify(of) }))

export const numbered = (count: number) => Array.from({ length: count }, (_, x) => ({ x }))

export const ok = (unit: number, value: string): Attempt => ({ unit, ok: true, value })

export const codeOf = (attempt: Attempt): string => (attempt.ok ? 'ok' : attempt.code)
