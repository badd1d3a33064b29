/**
 * Sweeps over the rows of a file.
 *
 * CSV: UTF-8 (a byte order mark is dropped), RFC 4180, with a header row that names the fields. A cell is
 * - null when it is empty;
 * - a number when it is written as one: digits with an optional sign, point and exponent (`-1.5`, `.5`, `2e-3`), without
 *   leading zeros (`007` is text) and, when whole, within 2^53 (long identifiers are text);
 * - true or false when it is that word;
 * - text otherwise. Quotes and blanks around a cell do not matter to this.
 * JSONL: one JSON object a line; empty lines are skipped.
 */

import { CsvError, parse } from 'csv-parse/sync'
import type { Json } from '../canonical.ts'
import { LIMITS } from '../limits.ts'
import { invalid, tooBig } from './fault.ts'
import type { Listed } from './listed.ts'
import { bytesOf, fieldBytes, NUMBER_MAX_BYTES } from './pointset.ts'

/** @throws E_SWEEP_INVALID, E_SWEEP_TOO_BIG, naming `path` and the line */
export function parseRows(bytes: Uint8Array, format: 'csv' | 'jsonl', path: string): Listed {
  if (bytes.length > LIMITS.SWEEP_ROWS_MAX_BYTES) {
    throw tooBig(path, `has ${bytes.length} bytes, ${LIMITS.SWEEP_ROWS_MAX_BYTES} at most`)
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw invalid(path, 'is not UTF-8')
  }
  const rows = format === 'csv' ? csvRows(text, path) : jsonlRows(text, path)
  if (rows.size === 0) throw invalid(path, 'has no rows')
  if (rows.names.size > LIMITS.SWEEP_AXES_MAX) {
    throw tooBig(path, `has ${rows.names.size} fields, ${LIMITS.SWEEP_AXES_MAX} at most`)
  }
  return rows
}

/** Kept by column: a packed array of doubles takes a tenth of what row objects would. */
function csvRows(text: string, path: string): Listed {
  let names: string[] | undefined
  const columns: Json[][] = []
  const most: number[] = []
  try {
    parse(text, {
      skip_empty_lines: true,
      on_record: (record: string[]) => {
        if (names === undefined) {
          names = checkHeader(record, path)
          for (const _ of names) columns.push([])
        } else {
          for (const [i, cell] of record.entries()) {
            const value = cellValue(cell)
            columns[i]?.push(value)
            // What is no text is never longer than this in its canonical form.
            most[i] = Math.max(most[i] ?? NUMBER_MAX_BYTES, typeof value === 'string' ? bytesOf(value) : 0)
          }
        }
        return null
      },
    })
  } catch (cause) {
    if (cause instanceof CsvError) throw invalid(path, `is not CSV: ${cause.message}`)
    throw cause
  }
  const header = names ?? []
  return {
    size: columns[0]?.length ?? 0,
    names: new Set(header),
    maxBytes: header.reduce((sum, name, i) => sum + fieldBytes(name) + (most[i] ?? 0), 0),
    write(index, into) {
      for (const [i, name] of header.entries()) into.push([name, columns[i]?.[index] ?? null])
    },
  }
}

function checkHeader(record: string[], path: string): string[] {
  const names = record.map((name) => name.trim())
  for (const [i, name] of names.entries()) {
    if (name === '') throw invalid(path, `has no name for column ${i + 1} in its header`)
    if (names.indexOf(name) !== i) throw invalid(path, `names column "${name}" twice in its header`)
  }
  return names
}

const NUMBER = /^[-+]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?$/

function cellValue(cell: string): Json {
  const text = cell.trim()
  if (text === '') return null
  if (text === 'true' || text === 'false') return text === 'true'
  if (!NUMBER.test(text)) return cell
  const value = Number(text)
  const held = Number.isInteger(value) ? Number.isSafeInteger(value) || /[.eE]/.test(text) : Number.isFinite(value)
  return held ? value + 0 : cell
}

function jsonlRows(text: string, path: string): Listed {
  const lines: string[] = []
  let maxBytes = 0
  const names = new Set<string>()
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const point = parseLine(line, `${path} line ${i + 1}`)
    for (const name of Object.keys(point)) names.add(name)
    maxBytes = Math.max(maxBytes, bytesOf(point))
    lines.push(line)
  }
  return {
    size: lines.length,
    names,
    maxBytes,
    write(index, into) {
      into.push(...Object.entries<Json>(JSON.parse(lines[index] ?? '{}')))
    },
  }
}

function parseLine(line: string, where: string): Record<string, Json> {
  let value: Json
  try {
    // The largest numbers of JSON text are infinities to JavaScript, and no JSON again.
    value = JSON.parse(line, (_, part) => {
      if (typeof part === 'number' && !Number.isFinite(part)) throw new SyntaxError('a number is too large')
      return part
    })
  } catch (cause) {
    throw invalid(where, `is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw invalid(where, 'is not an object')
  return value as Record<string, Json>
}
