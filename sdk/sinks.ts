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
import { ColumnKinds, type Row, writeParquet } from './parquet.ts'
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
    asTable(file, source, async ({ rows, part, columns }) => {
      const table = stringify({ header: true, columns: columns.names(), cast: { boolean: String } })
      await pipeline(createInterface({ input: createReadStream(rows) }), parseLines, table, createWriteStream(part))
    })

/**
 * The same table as Apache Parquet (Snappy): whole numbers below 2^31 as INT32, other numbers as DOUBLE, truth values as BOOLEAN, all else, and
 * columns of several kinds, as text.
 */
export const toParquet =
  (file: string): Sink =>
  (source) => {
    const kinds = new ColumnKinds()
    const write = ({ rows, part, columns }: Table) => writeParquet({ rows, file: part }, columns.names(), kinds)
    return asTable(file, source, write, (row) => kinds.add(row))
  }

/** `rows`: a file with one JSON object a line; `part`: what is to be written. */
type Table = { rows: string; part: string; columns: TableColumns }

/** Which columns there are is known after the last row: rows wait on disk, not in memory. */
async function asTable(
  file: string,
  source: AsyncIterable<Result<unknown, unknown>>,
  write: (table: Table) => Promise<void>,
  onRow: (row: Row) => void = () => undefined,
): Promise<void> {
  await inPart(file, (part) =>
    inPart(`${file}.rows`, async (rows) => {
      const columns = new TableColumns()
      await pipeline(Readable.from(flatLines(source, columns, onRow)), createWriteStream(rows))
      await write({ rows, part, columns })
      await rename(part, file)
    }),
  )
}

async function* jsonLines(source: AsyncIterable<Result<unknown, unknown>>): AsyncGenerator<string> {
  for await (const { error, ...result } of source) {
    const said = error === undefined ? {} : { error: { code: error.code, message: error.message } }
    yield `${JSON.stringify({ ...result, ...said })}\n`
  }
}

async function* flatLines(
  source: AsyncIterable<Result<unknown, unknown>>,
  columns: TableColumns,
  onRow: (row: Row) => void,
): AsyncGenerator<string> {
  for await (const result of source) {
    const flat = flatten(result)
    columns.add(flat)
    const row = { ...flat.params, ...flat.value, ...flat.fixed }
    onRow(row)
    yield `${JSON.stringify(row)}\n`
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
