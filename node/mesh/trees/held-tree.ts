/** What the transfer of trees needs of whatever keeps them. */

import type { Digest } from '../../../protocol/canonical.ts'
import type { TreeLayout } from '../../../protocol/data/layout.ts'

/** A tree that stays where it is until `release`. */
export type HeldTree = {
  readonly digest: Digest
  readonly description: Uint8Array
  readonly layout: TreeLayout
  readonly whole: boolean
  has(chunk: number): boolean
  missing(): Iterable<number>
  /** @throws E_NOT_FOUND, E_BLOB when the disk changed the bytes, E_DISK_FULL */
  read(chunk: number): Promise<Uint8Array>
  /** @throws E_BLOB when these are not the bytes of the chunk, E_DISK_FULL */
  write(chunk: number, bytes: Uint8Array): Promise<void>
  release(): void
}

export type TreeKeeper<Held extends HeldTree> = {
  has(digest: Digest): boolean
  /** @throws E_NOT_FOUND, E_TREE */
  hold(digest: Digest, signal: AbortSignal): Promise<Held>
  /** @throws E_TREE, E_DISK_BUDGET, E_DISK_FULL */
  begin(description: Uint8Array, signal: AbortSignal): Promise<Held>
}
