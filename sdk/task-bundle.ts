/** A task as it is sent: its source under its digest, and the files it names. */

import { readFile, stat } from 'node:fs/promises'
import type { z } from 'zod'
import { onFile } from '../node/files/file-error.ts'
import { digestOf } from '../protocol/canonical.ts'
import { TalkootError } from '../protocol/errors.ts'
import { faultText } from '../protocol/fault-text.ts'
import { LIMITS } from '../protocol/limits.ts'
import type { TaskRef } from '../protocol/manifest.ts'
import type { RuntimeKind } from '../protocol/runtime-kinds.ts'
import type { CompiledSweep } from '../protocol/sweep/generator.ts'
import type { LocalTree, ReadOptions } from './inputs.ts'
import type { Task } from './task.ts'

export type TaskBundle = {
  ref: TaskRef
  source: Uint8Array<ArrayBuffer>
  /** Files it names, to be sent with it. */
  trees: readonly LocalTree[]
  agreement: Task<never, unknown>['agreement']
}

/** What a task is bundled for. */
export type BundleContext = ReadOptions & {
  /** The points it is run on. @throws E_INPUT where they are not known here */
  points(): CompiledSweep
}

/** A task that is no JavaScript module: it reads `Needs` of each point, and its units give a `Value`. */
export interface ProgramTask<Needs, Value> {
  /** As it is sent. @throws E_FILE, E_TREE, E_TASK_* */
  bundle(context: BundleContext): Promise<TaskBundle>
  /** For the compiler only: never there. */
  readonly types?: (needs: Needs) => Value
}

/** @throws E_TASK_TOO_BIG */
export function taskBundle(
  runtime: RuntimeKind,
  text: string,
  { trees = [], agreement = 'exact' }: Partial<Pick<TaskBundle, 'trees' | 'agreement'>> = {},
): TaskBundle {
  const source = new TextEncoder().encode(text)
  if (source.length > LIMITS.TASK_MAX_BYTES) throw tooBig()
  return { ref: { runtime, digest: digestOf(source), bytes: source.length }, source, trees, agreement }
}

/** A task as it was described. @throws E_TASK_INVALID, with what is wrong of it */
export function checkedTask<T>(schema: z.ZodType<T>, description: unknown): T {
  const parsed = schema.safeParse(description)
  if (!parsed.success) throw new TalkootError('E_TASK_INVALID', faultText(parsed.error))
  return parsed.data
}

/** A file that is part of a task itself. @throws E_FILE, E_TASK_TOO_BIG */
export async function base64Of(file: string): Promise<string> {
  const { size } = await onFile(file, () => stat(file))
  if (size > LIMITS.TASK_MAX_BYTES) throw tooBig()
  return (await onFile(file, () => readFile(file))).toString('base64')
}

const tooBig = (): TalkootError =>
  new TalkootError('E_TASK_TOO_BIG', `the task is over ${LIMITS.TASK_MAX_BYTES / 2 ** 20} MiB`)
