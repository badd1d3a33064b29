/** Where the chunks of a tree lie in its files. */

import { LIMITS } from '../limits.ts'
import { CHUNK_DIGEST_BYTES, chunksOf, type Tree, type TreeFile } from './tree.ts'

/** A piece of a file: where it begins in it, how long it is, and its SHA-256. */
export type Chunk = { file: TreeFile; offset: number; bytes: number; sha256: Uint8Array }

export class TreeLayout {
  readonly tree: Tree
  readonly chunks: number
  /** For each file, the number of its first chunk. */
  readonly #starts: number[] = []

  constructor(tree: Tree) {
    this.tree = tree
    let next = 0
    for (const { bytes } of tree.files) {
      this.#starts.push(next)
      next += chunksOf(bytes)
    }
    this.chunks = next
  }

  /** The number of the first chunk of a file; of one without chunks, where it would be. */
  firstOf(file: number): number {
    return this.#starts[file] ?? this.chunks
  }

  /** Undefined when there is none of that number: it may be a peer's word. */
  chunk(number: number): Chunk | undefined {
    if (!Number.isInteger(number) || number < 0 || number >= this.chunks) return undefined
    const at = this.#fileOf(number)
    const file = this.tree.files[at]
    if (file === undefined) return undefined
    const index = number - (this.#starts[at] ?? 0)
    const offset = index * LIMITS.TREE_CHUNK_BYTES
    return {
      file,
      offset,
      bytes: Math.min(LIMITS.TREE_CHUNK_BYTES, file.bytes - offset),
      sha256: file.chunks.subarray(index * CHUNK_DIGEST_BYTES, (index + 1) * CHUNK_DIGEST_BYTES),
    }
  }

  /** The last file that begins at or before the chunk: files without chunks begin where the next does. */
  #fileOf(chunk: number): number {
    let low = 0
    let high = this.#starts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.#starts[middle] ?? 0) <= chunk) low = middle
      else high = middle - 1
    }
    return low
  }
}
