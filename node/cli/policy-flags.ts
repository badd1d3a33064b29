/** How a job is to be run, as it is written on a command line. */

import { TalkootError } from '../../protocol/errors.ts'
import type { MapOptions } from '../../sdk/policy.ts'
import { parseCount, parseDuration, parseMebibytes, parseStep } from './quantities.ts'

export type PolicyFlags = {
  name?: string
  quorum?: string
  of?: string
  confidence?: string
  collusion?: string
  tolerance?: string
  require?: string
  rank?: string
  alike?: string
  retries?: string
  priority?: string
  time?: string
  cpus?: string
  memory?: string
  deadline?: string
  seed?: string
  queue?: boolean
  after?: string[]
}

/** @throws E_USAGE */
export function parsePolicy(flags: PolicyFlags): MapOptions {
  const { name, tolerance, require, rank, alike, retries, priority, time, cpus, memory, deadline, seed, queue, after } =
    flags
  return {
    ...(name === undefined ? {} : { name }),
    ...parseVerify(flags),
    ...(tolerance === undefined ? {} : { agree: parseTolerance(tolerance) }),
    ...(require === undefined ? {} : { require }),
    ...(rank === undefined ? {} : { rank }),
    ...(alike === undefined ? {} : { alike }),
    ...(priority === undefined ? {} : { priority: parseStep(priority) }),
    ...(retries === undefined ? {} : { retries: parseCount(retries) }),
    ...(time === undefined ? {} : { timeoutMs: parseDuration(time) }),
    ...(cpus === undefined ? {} : { cpus: parseCount(cpus) }),
    ...(memory === undefined ? {} : { memoryMiB: parseMebibytes(memory) }),
    ...(deadline === undefined ? {} : { deadlineMs: parseDuration(deadline) }),
    ...(seed === undefined ? {} : { seed: parseCount(seed) }),
    ...(queue === true ? { queue } : {}),
    ...(after === undefined ? {} : { after }),
  }
}

function parseVerify({ quorum, of, confidence, collusion }: PolicyFlags): Pick<MapOptions, 'verify'> {
  if (of !== undefined && quorum === undefined) throw new TalkootError('E_USAGE', '--of goes with --quorum')
  if (collusion !== undefined && confidence === undefined) {
    throw new TalkootError('E_USAGE', '--collusion goes with --confidence')
  }
  if (confidence !== undefined && quorum !== undefined) {
    throw new TalkootError('E_USAGE', 'a job is verified by --confidence or by --quorum, not both')
  }
  if (quorum !== undefined) {
    return { verify: { quorum: parseCount(quorum), ...(of === undefined ? {} : { of: parseCount(of) }) } }
  }
  if (confidence === undefined) return {}
  const assumed = collusion === undefined ? {} : { collusion: parseShare('--collusion', collusion) }
  return { verify: { confidence: parseShare('--confidence', confidence), ...assumed } }
}

/** From 0 to 1, as 0.999 or 99.9%. */
function parseShare(flag: string, text: string): number {
  const match = /^(\d*\.?\d+(?:e-?\d+)?)(%)?$/i.exec(text.trim())
  const value = Number(match?.[1]) / (match?.[2] === undefined ? 1 : 100)
  if (match === null || !(value >= 0 && value <= 1)) {
    throw new TalkootError('E_USAGE', `${flag} is a share such as 0.999, not "${text}"`)
  }
  return value
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
