/** Tables without borders: what is copied from them pastes as plain columns. */

import Table from 'cli-table3'
import type { Colours } from './colours.ts'

export type Column<Row> = {
  title: string
  cell(row: Row): string
  align?: 'left' | 'right'
  /** Shown with --output wide only. */
  wide?: boolean
}

const BARE = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
  ].map((place) => [place, '']),
)

export function grid<Row>(rows: readonly Row[], columns: readonly Column<Row>[], colours: Colours): string {
  const table = new Table({
    head: columns.map(({ title }) => colours.dim(title)),
    colAligns: columns.map(({ align }) => align ?? 'left'),
    chars: { ...BARE, middle: '  ' },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  })
  for (const row of rows) table.push(columns.map(({ cell }) => cell(row)))
  return trimmed(table.toString())
}

/** Names and values, one pair a line. */
export function facts(pairs: readonly (readonly [name: string, value: string])[], colours: Colours): string {
  const width = Math.max(...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `${colours.dim(name.padEnd(width))}  ${value}`).join('\n')
}

const trimmed = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
