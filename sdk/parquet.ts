/** Rows of results as an Apache Parquet file: what each column holds is known after the last row, so rows wait on disk. */

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileWriter, ParquetWriter } from 'hyparquet-writer'

export type Row = Readonly<Record<string, string | number | boolean | null>>

/** So many rows are held at a time. */
const GROUP_ROWS = 10_000
const INT32_MAX = 2 ** 31

type Kind = 'INT32' | 'DOUBLE' | 'BOOLEAN' | 'TEXT'

/** What the values of each column are together: numbers, truth values, or, where they differ, text. */
export class ColumnKinds {
  readonly #kinds = new Map<string, Kind>()

  add(row: Row): void {
    for (const [name, value] of Object.entries(row)) {
      if (value === null) continue
      const kind = kindOf(value)
      const known = this.#kinds.get(name)
      if (known !== kind) this.#kinds.set(name, known === undefined ? kind : joined(known, kind))
    }
  }

  /** A column without values is one of text. */
  of(name: string): Kind {
    return this.#kinds.get(name) ?? 'TEXT'
  }
}

/** Reads rows from a file, one as JSON a line. Every cell may be null. */
export async function writeParquet(
  { rows, file }: { rows: string; file: string },
  columns: readonly string[],
  kinds: ColumnKinds,
): Promise<void> {
  const leaves = columns.map((name) => ({ name, repetition_type: 'OPTIONAL' as const, ...TYPES[kinds.of(name)] }))
  const schema = [{ name: 'results', num_children: columns.length }, ...leaves]
  const writer = new ParquetWriter({ writer: fileWriter(file), schema, createdBy: 'talkoot' })
  for await (const group of groupsOf(rows)) {
    const columnData = columns.map((name) => ({ name, data: group.map((row) => cellOf(row[name], kinds.of(name))) }))
    await writer.write({ columnData, rowGroupSize: GROUP_ROWS })
  }
  await writer.finish()
}

const TYPES = {
  INT32: { type: 'INT32' },
  DOUBLE: { type: 'DOUBLE' },
  BOOLEAN: { type: 'BOOLEAN' },
  TEXT: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
} as const

async function* groupsOf(rows: string): AsyncGenerator<Row[]> {
  let group: Row[] = []
  for await (const line of createInterface({ input: createReadStream(rows) })) {
    if (group.push(JSON.parse(line)) < GROUP_ROWS) continue
    yield group
    group = []
  }
  if (group.length > 0) yield group
}

function kindOf(value: string | number | boolean): Kind {
  if (typeof value === 'boolean') return 'BOOLEAN'
  if (typeof value === 'string') return 'TEXT'
  return Number.isInteger(value) && !Object.is(value, -0) && Math.abs(value) < INT32_MAX ? 'INT32' : 'DOUBLE'
}

const NUMBERS: ReadonlySet<Kind> = new Set<Kind>(['INT32', 'DOUBLE'])
const joined = (a: Kind, b: Kind): Kind => (NUMBERS.has(a) && NUMBERS.has(b) ? 'DOUBLE' : 'TEXT')

const cellOf = (value: Row[string] | undefined, kind: Kind): Row[string] =>
  kind === 'TEXT' && value !== null && value !== undefined ? String(value) : (value ?? null)
