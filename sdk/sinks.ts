/**
 * Ends of a pipeline that write results to a file: `await pipe(job, toCsv('out.csv'))`. A file appears under its name
 * only when it is whole. @throws E_FILE, E_DISK_FULL
 */

import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { stringify } from 'csv-stringify'
import { onFile } from '../node/files/file-error.ts'
import { flatten, TableColumns } from './flatten.ts'
import type { Result } from './result.ts'

export type Sink = (source: AsyncIterable<Result<unknown, unknown>>) => Promise<void>

/** One JSON object a line: unit, params, status, value or error and blame, peers, attempts. */
export const toJsonl =
  (file: string): Sink =>
  (source) =>
    inPart(file, async (part) => {
      await pipeline(Readable.from(jsonLines(source)), createWriteStream(part))
      await rename(part, file)
    })

/** A table: `unit`, the parameters, the value, `status`, `error`, `attempts`. `flatten.ts` says what becomes a column. */
export const toCsv =
  (file: string): Sink =>
  (source) =>
    inPart(file, (part) =>
      // Which columns there are is known after the last row: rows wait on disk, not in memory.
      inPart(`${file}.rows`, async (rows) => {
        const columns = new TableColumns()
        await pipeline(Readable.from(flatLines(source, columns)), createWriteStream(rows))
        const table = stringify({ header: true, columns: columns.names(), cast: { boolean: String } })
        await pipeline(createInterface({ input: createReadStream(rows) }), parseLines, table, createWriteStream(part))
        await rename(part, file)
      }),
    )

async function* jsonLines(source: AsyncIterable<Result<unknown, unknown>>): AsyncGenerator<string> {
  for await (const { error, ...result } of source) {
    const said = error === undefined ? {} : { error: { code: error.code, message: error.message } }
    yield `${JSON.stringify({ ...result, ...said })}\n`
  }
}

async function* flatLines(
  source: AsyncIterable<Result<unknown, unknown>>,
  columns: TableColumns,
): AsyncGenerator<string> {
  for await (const result of source) {
    const row = flatten(result)
    columns.add(row)
    yield `${JSON.stringify({ ...row.params, ...row.value, ...row.fixed })}\n`
  }
}

async function* parseLines(lines: AsyncIterable<string>): AsyncGenerator<unknown> {
  for await (const line of lines) yield JSON.parse(line)
}

/** Lends a file beside the one that is meant, and removes what is left of it. */
async function inPart(file: string, write: (part: string) => Promise<void>): Promise<void> {
  const part = `${file}.${process.pid}.part`
  try {
    await onFile(file, () => write(part))
  } finally {
    await rm(part, { force: true })
  }
}
