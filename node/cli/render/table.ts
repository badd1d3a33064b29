/** For people. */

import type { Sink } from '../io.ts'
import type { Colours } from './colours.ts'
import type { Renderer, RowView, View } from './view.ts'

const COLUMN_MIN = 8

export class TableRenderer implements Renderer {
  readonly #stdout: Sink
  readonly #style: { wide: boolean; colours: Colours }

  constructor(stdout: Sink, style: { wide: boolean; colours: Colours }) {
    this.#stdout = stdout
    this.#style = style
  }

  async show<T extends object>(value: T, view: View<T>): Promise<void> {
    const text = view.text(value, this.#style)
    if (text !== '') await this.#stdout.write(`${text}\n`)
  }

  /** Rows are written as they come, so the first one decides how wide the columns are. */
  async rows<T>(source: AsyncIterable<T>, view: RowView<T>): Promise<void> {
    let widths: number[] | null = null
    for await (const row of source) {
      const cells = view.cells(row)
      if (widths === null) {
        const titles = view.columns(row)
        widths = titles.map((title, i) => Math.max(COLUMN_MIN, title.length, cells[i]?.length ?? 0))
        await this.#stdout.write(`${this.#style.colours.dim(line(titles, widths))}\n`)
      }
      await this.#stdout.write(`${line(cells, widths)}\n`)
    }
  }
}

const line = (cells: readonly string[], widths: readonly number[]): string =>
  cells
    .map((cell, i) => cell.padEnd(widths[i] ?? 0))
    .join('  ')
    .trimEnd()
