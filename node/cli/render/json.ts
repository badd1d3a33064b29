/** For programs: one document, or one object a line. */

import type { Sink } from '../io.ts'
import type { Renderer, RowView, View } from './view.ts'

export class JsonRenderer implements Renderer {
  readonly #stdout: Sink
  readonly #lines: boolean

  constructor(stdout: Sink, { lines }: { lines: boolean }) {
    this.#stdout = stdout
    this.#lines = lines
  }

  async show<T extends object>(value: T, view: View<T>): Promise<void> {
    if (!this.#lines) return this.#stdout.write(`${JSON.stringify(value, null, 2)}\n`)
    for (const item of view.items?.(value) ?? [value]) await this.#stdout.write(`${JSON.stringify(item)}\n`)
  }

  async rows<T>(source: AsyncIterable<T>, view: RowView<T>): Promise<void> {
    if (this.#lines) {
      for await (const row of source) await this.#stdout.write(`${JSON.stringify(view.json(row))}\n`)
      return
    }
    let separator = ''
    await this.#stdout.write(`{"schema":${JSON.stringify(view.schema)},"results":[`)
    for await (const row of source) {
      await this.#stdout.write(`${separator}\n${JSON.stringify(view.json(row))}`)
      separator = ','
    }
    await this.#stdout.write('\n]}\n')
  }
}
