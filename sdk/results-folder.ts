/**
 * Results of a job as a folder: `results.jsonl`, a line a unit, and in `units/000017` the files unit 17 left. It can be written
 * again, when there is more or after a break; what is there stays.
 */

import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onFile } from '../node/files/file-error.ts'
import { filesOf } from '../protocol/data/unit-files.ts'
import { TalkootError } from '../protocol/errors.ts'
import type { Client } from './client.ts'
import type { Result } from './result.ts'
import { type Sink, toJsonl } from './sinks.ts'
import { writeUnitFiles } from './unit-files.ts'

/** Says whose results a folder holds. */
const OWNER = '.talkoot-job'
const UNIT_DIGITS = 6

/** `jobs`: whose results they are, and those whose failed units it runs again. @throws E_FILE when the folder holds anything else */
export const toFolder =
  (client: Client, folder: string, { jobs, signal }: { jobs: readonly string[]; signal: AbortSignal }): Sink =>
  async (source) => {
    await takeFolder(folder, jobs)
    await toJsonl(join(folder, 'results.jsonl'))(withFiles(source, { client, folder: join(folder, 'units'), signal }))
  }

async function* withFiles(
  source: AsyncIterable<Result<unknown, unknown>>,
  { client, folder, signal }: { client: Client; folder: string; signal: AbortSignal },
): AsyncGenerator<Result<unknown, unknown>> {
  for await (const result of source) {
    const files = result.status === 'accepted' ? filesOf(result.value) : null
    const place = join(folder, String(result.unit).padStart(UNIT_DIGITS, '0'))
    // The files of a task that leaves some came before its value was accepted: another task's may only look like it.
    if (files !== null) await writeUnitFiles(client, files, place, signal).catch(unlessMissing)
    yield result
  }
}

function unlessMissing(error: unknown): void {
  if (TalkootError.from(error).code !== 'E_NOT_FOUND') throw error
}

/** Empty, new, or of one of the jobs. */
async function takeFolder(folder: string, jobs: readonly string[]): Promise<void> {
  await onFile(folder, () => mkdir(join(folder, 'units'), { recursive: true }))
  const owner = join(folder, OWNER)
  const known = existsSync(owner) ? readFileSync(owner, 'utf8').trim().split('\n') : null
  if (known?.some((job) => jobs.includes(job))) return
  const names = (await onFile(folder, () => readdir(folder))).filter((name) => name !== 'units')
  const units = await onFile(folder, () => readdir(join(folder, 'units')))
  if (known !== null || names.length > 0 || units.length > 0) {
    throw new TalkootError('E_FILE', `${folder} holds something else: choose a new folder`)
  }
  await onFile(owner, () => writeFile(owner, `${jobs.join('\n')}\n`))
}
