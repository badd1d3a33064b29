/** How a job is to be run, as a scientist writes it. */

import type { z } from 'zod'
import { TalkootError } from '../protocol/errors.ts'
import { faultText } from '../protocol/fault-text.ts'
import { type Agree, type Policy, policySchema } from '../protocol/manifest.ts'
import type { Task, Tolerance } from './task.ts'

type Plain = z.input<typeof policySchema>

/** First all files are read, then what the node does not have is sent. */
export type InputsProgress = { step: 'reading' | 'sending'; done: number; of: number }

/** Every field may be left out; see `policySchema` for what each does, its unit and its default. */
export type MapOptions = Omit<Plain, 'verify' | 'agree'> & {
  /** Shown in lists. */
  name?: string
  /**
   * `none`: the first result is taken. `quorum` results that agree, of at most `of` on different peers (by default as
   * many as still give a majority: 2 quorum - 1). `confidence`: the probability with which each value is to be right, below
   * 1; `collusion`: the chance that two bad results of strangers agree (default 1: all who lie tell the same lie).
   */
  verify?: 'none' | { quorum: number; of?: number } | { confidence: number; collusion?: number }
  /** Instead of what the task says. `function` is the one the task module exports. */
  agree?: 'exact' | 'function' | Tolerance
  /** Jobs of this machine that must end well first: handles, ids, or unique beginnings of ids. */
  after?: readonly (string | { readonly id: string })[]
  /** Accept the job even if no peer known now could ever run it. */
  queue?: boolean
  /** Told how far the files of the task are read and sent to the node of this machine, bytes. */
  onInputs?: (progress: InputsProgress) => void
  /** Aborting cancels the job. */
  signal?: AbortSignal
}

/** @throws E_JOB_INVALID naming the field */
export const policyOf = (options: MapOptions, ofTask: Task<never, unknown>['agreement']): Policy =>
  policyOver({}, { verify: 'none', agree: ofTask, ...options })

/** What is given takes the place of what there is. @throws E_JOB_INVALID naming the field */
export function policyOver(base: Plain, options: MapOptions): Policy {
  const {
    name: _name,
    queue: _queue,
    signal: _signal,
    after: _after,
    onInputs: _onInputs,
    verify,
    agree,
    ...plain
  } = options
  const parsed = policySchema.safeParse({
    ...base,
    ...plain,
    ...(verify === undefined ? {} : { verify: verifyOf(verify) }),
    ...(agree === undefined ? {} : { agree: agreeOf(agree) }),
  })
  if (!parsed.success) throw new TalkootError('E_JOB_INVALID', faultText(parsed.error))
  return parsed.data
}

const agreeOf = (
  agree: 'exact' | 'function' | Tolerance,
): z.input<typeof policySchema>['agree'] & { kind: Agree['kind'] } =>
  typeof agree === 'string' ? { kind: agree } : { kind: 'tolerance', ...agree }

function verifyOf(verify: NonNullable<MapOptions['verify']>): Plain['verify'] {
  if (verify === 'none') return { kind: 'none' }
  if ('quorum' in verify) return { kind: 'quorum', agree: verify.quorum, of: verify.of ?? 2 * verify.quorum - 1 }
  const { confidence: goal, ...assumed } = verify
  return { kind: 'confidence', goal, ...assumed }
}
