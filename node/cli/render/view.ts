/** How what a verb found is shown, whichever way is asked for. */

import type { Colours } from './colours.ts'

/** How one kind of answer is shown. `value` itself is what --json prints. */
export type View<T> = {
  /** For people; `wide` has room for more. */
  text(value: T, style: { wide: boolean; colours: Colours }): string
  /** For scripts: one line each. */
  ids(value: T): string[]
  /** What --output jsonl prints a line each; the whole value where absent. */
  items?(value: T): readonly object[]
}

/** How a stream of rows is shown. */
export type RowView<T> = {
  /** Named in the JSON document. */
  schema: string
  columns: (first: T) => string[]
  cells(row: T): string[]
  json(row: T): object
  quiet(row: T): string
}

export interface Renderer {
  show<T extends object>(value: T, view: View<T>): Promise<void>
  rows<T>(source: AsyncIterable<T>, view: RowView<T>): Promise<void>
}
