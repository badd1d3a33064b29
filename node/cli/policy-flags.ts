/** How a job is to be run, as it is written on a command line. */

import { TalkootError } from '../../protocol/errors.ts'
import type { MapOptions } from '../../sdk/policy.ts'
import { parseCount, parseDuration, parseMebibytes, parseStep } from './quantities.ts'

export type PolicyFlags = {
  name?: string
  quorum?: string
  of?: string
  tolerance?: string
  require?: string
  rank?: string
  retries?: string
  priority?: string
  timeoutUnit?: string
  memory?: string
  deadline?: string
  seed?: string
  queue?: boolean
  after?: string[]
}

/** @throws E_USAGE */
export function parsePolicy(flags: PolicyFlags): MapOptions {
  const {
    name,
    quorum,
    of,
    tolerance,
    require,
    rank,
    retries,
    priority,
    timeoutUnit,
    memory,
    deadline,
    seed,
    queue,
    after,
  } = flags
  if (of !== undefined && quorum === undefined) throw new TalkootError('E_USAGE', '--of goes with --quorum')
  return {
    ...(name === undefined ? {} : { name }),
    ...(quorum === undefined
      ? {}
      : { verify: { quorum: parseCount(quorum), ...(of === undefined ? {} : { of: parseCount(of) }) } }),
    ...(tolerance === undefined ? {} : { agree: parseTolerance(tolerance) }),
    ...(require === undefined ? {} : { require }),
    ...(rank === undefined ? {} : { rank }),
    ...(priority === undefined ? {} : { priority: parseStep(priority) }),
    ...(retries === undefined ? {} : { retries: parseCount(retries) }),
    ...(timeoutUnit === undefined ? {} : { timeoutMs: parseDuration(timeoutUnit) }),
    ...(memory === undefined ? {} : { memoryMiB: parseMebibytes(memory) }),
    ...(deadline === undefined ? {} : { deadlineMs: parseDuration(deadline) }),
    ...(seed === undefined ? {} : { seed: parseCount(seed) }),
    ...(queue === true ? { queue } : {}),
    ...(after === undefined ? {} : { after }),
  }
}

/** `1e-9` is relative; `abs=1e-6`, `rel=1e-9,abs=1e-12` say which. */
function parseTolerance(text: string): { relative?: number; absolute?: number } {
  const tolerance: { relative?: number; absolute?: number } = {}
  for (const part of text.split(',')) {
    const match = /^(?:(rel|abs)=)?(\d[\d.e+-]*)$/i.exec(part.trim())
    const value = Number(match?.[2])
    if (match === null || !Number.isFinite(value)) {
      throw new TalkootError('E_USAGE', `--tolerance is 1e-9, or rel=1e-9,abs=1e-12, not "${text}"`)
    }
    tolerance[match[1] === 'abs' ? 'absolute' : 'relative'] = value
  }
  return tolerance
}
