/** For shell scripts: ids or values, one a line, nothing else. */

import type { Sink } from '../io.ts'
import type { Renderer, RowView, View } from './view.ts'

export class QuietRenderer implements Renderer {
  readonly #stdout: Sink

  constructor(stdout: Sink) {
    this.#stdout = stdout
  }

  async show<T extends object>(value: T, view: View<T>): Promise<void> {
    for (const id of view.ids(value)) await this.#stdout.write(`${id}\n`)
  }

  async rows<T>(source: AsyncIterable<T>, view: RowView<T>): Promise<void> {
    for await (const row of source) await this.#stdout.write(`${view.quiet(row)}\n`)
  }
}
