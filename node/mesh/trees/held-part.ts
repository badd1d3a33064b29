/** Some files of a tree that is kept here, given as the tree they are by themselves. */

import { TreeLayout } from '../../../protocol/data/layout.ts'
import type { TreePart } from '../../../protocol/data/point-inputs.ts'
import { chunksOf } from '../../../protocol/data/tree.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import type { HeldTree } from './held-tree.ts'

export class HeldPart implements HeldTree {
  readonly digest: string
  readonly description: Uint8Array
  readonly layout: TreeLayout
  readonly #whole: HeldTree
  /** For each chunk, its number in the whole. */
  readonly #chunks: readonly number[]

  /** It is let go of with the whole. */
  constructor(whole: HeldTree, { digest, description, tree, at }: TreePart) {
    this.digest = digest
    this.description = description
    this.layout = new TreeLayout(tree)
    this.#whole = whole
    this.#chunks = tree.files.flatMap(({ bytes }, index) => {
      const first = whole.layout.firstOf(at[index] ?? 0)
      return Array.from({ length: chunksOf(bytes) }, (_, further) => first + further)
    })
  }

  get whole(): boolean {
    return this.#whole.whole || this.#chunks.every((chunk) => this.#whole.has(chunk))
  }

  has(chunk: number): boolean {
    const number = this.#chunks[chunk]
    return number !== undefined && this.#whole.has(number)
  }

  *missing(): Iterable<number> {
    for (let chunk = 0; chunk < this.layout.chunks; chunk++) if (!this.has(chunk)) yield chunk
  }

  async read(chunk: number): Promise<Uint8Array> {
    const number = this.#chunks[chunk]
    if (number === undefined) throw new TalkootError('E_NOT_FOUND', `there is no chunk ${chunk}`)
    return await this.#whole.read(number)
  }

  async write(): Promise<void> {
    throw new TalkootError('E_INTERNAL', 'a part of a tree is only read')
  }

  release(): void {
    this.#whole.release()
  }
}
