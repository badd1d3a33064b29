/** Where results go: a file by its ending, or standard output in a format. */

import { createReadStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join, resolve } from 'node:path'
import { TalkootError } from '../../../protocol/errors.ts'
import type { Result } from '../../../sdk/result.ts'
import { type Sink, toCsv, toJsonl } from '../../../sdk/sinks.ts'
import type { Context } from '../context.ts'
import { resultView } from '../render/result-view.ts'

export type ResultsFormat = 'csv' | null

/** What `--out FILE` names, checked before anything is submitted. @throws E_USAGE */
export function fileSink(file: string | undefined, cwd: string): Sink | null {
  if (file === undefined) return null
  const path = resolve(cwd, file)
  const kind = extname(path).toLowerCase()
  if (kind === '.csv') return toCsv(path)
  if (kind === '.jsonl' || kind === '.ndjson') return toJsonl(path)
  throw new TalkootError('E_USAGE', `--out takes a .csv or .jsonl file, not ${file}`)
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
