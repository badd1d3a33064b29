/** Where results go: a file by its ending, or standard output in a format. */

import { createReadStream } from 'node:fs'
import { access, constants, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, extname, join, resolve } from 'node:path'
import { TalkootError } from '../../../protocol/errors.ts'
import type { Result } from '../../../sdk/result.ts'
import { type Sink, toCsv, toJsonl, toParquet } from '../../../sdk/sinks.ts'
import { onFile } from '../../files/file-error.ts'
import type { Context } from '../context.ts'
import { resultView } from '../render/result-view.ts'

const SINKS: Readonly<Record<string, (file: string) => Sink>> = {
  '.csv': toCsv,
  '.jsonl': toJsonl,
  '.ndjson': toJsonl,
  '.parquet': toParquet,
}

/** Names without an ending are folders. */
export const isFolder = (path: string): boolean => path.endsWith('/') || extname(path) === ''

/** What a flag names, checked before anything is submitted. @throws E_USAGE, E_FILE */
export async function fileSink(flag: string, file: string | undefined, cwd: string): Promise<Sink | null> {
  if (file === undefined) return null
  const path = resolve(cwd, file)
  const sink = SINKS[extname(path).toLowerCase()]
  if (sink === undefined)
    throw new TalkootError('E_USAGE', `${flag} takes a .csv, .jsonl or .parquet file, not ${file}`)
  await onFile(path, () => access(dirname(path), constants.W_OK))
  return sink(path)
}

/** CSV is written when all of it is there: which columns it has is known last. */
export async function csvToStdout(source: AsyncIterable<Result>, { io }: Context): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'talkoot-csv-'))
  try {
    const file = join(folder, 'results.csv')
    await toCsv(file)(source)
    for await (const text of createReadStream(file, 'utf8')) await io.stdout.write(text)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export const rowsToStdout = (source: AsyncIterable<Result>, { output }: Context): Promise<void> =>
  output.rows(source, resultView)
