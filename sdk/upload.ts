/** Sends a tree of files to the node of this machine: only what it does not have, in requests of a bounded length. */

import { readPiece } from '../node/files/read-tree.ts'
import { type Chunk, TreeLayout } from '../protocol/data/layout.ts'
import { TREE_API, type TreeUpload, treeUploadSchema } from '../protocol/data/upload.ts'
import { TalkootError } from '../protocol/errors.ts'
import { LIMITS } from '../protocol/limits.ts'
import type { Client } from './client.ts'
import type { LocalTree, ReadOptions } from './inputs.ts'

type Batch = { first: number; chunks: Chunk[] }

/** @throws E_FILE when a file has changed since it was read, E_DISK_BUDGET, E_DISK_TAKEN, E_NOT_RUNNING */
export async function uploadTree(client: Client, local: LocalTree, { signal, onProgress }: ReadOptions): Promise<void> {
  const { digest } = local.ref
  const layout = new TreeLayout(local.tree)
  const body = new Uint8Array(local.description)
  let { missing } = await client.request(TREE_API.tree(digest), treeUploadSchema, { method: 'PUT', body, signal })
  let sent = 0
  while (missing.length > 0) {
    const before = missing
    for (const { first, chunks } of batches(layout, missing)) {
      const bytes = await bytesOf(local, chunks)
      const query = { first: String(first), count: String(chunks.length) }
      const put = { method: 'PUT', query, body: bytes, signal } as const
      missing = (await client.request(TREE_API.chunks(digest), treeUploadSchema, put).catch(changed)).missing
      sent += bytes.length
      onProgress?.(Math.min(sent, local.ref.bytes), local.ref.bytes)
    }
    if (missing[0]?.[0] === before[0]?.[0]) throw new TalkootError('E_BLOB', 'the node does not keep what it is sent')
  }
}

/** To the node it is a peer that sends what it does not announce. */
function changed(error: unknown): never {
  if (!(error instanceof TalkootError) || error.code !== 'E_BLOB') throw error
  throw new TalkootError('E_FILE', 'a file changed while it was sent: submit it again', { cause: error })
}

function* batches(layout: TreeLayout, missing: TreeUpload['missing']): Iterable<Batch> {
  for (const [start, count] of missing) {
    let batch: Batch = { first: start, chunks: [] }
    let room: number = LIMITS.UPLOAD_MAX_BYTES
    for (let number = start; number < start + count; number++) {
      const chunk = layout.chunk(number)
      if (chunk === undefined) throw new TalkootError('E_PROTOCOL_VERSION', 'the node wants what is not in the tree')
      if (chunk.bytes > room || batch.chunks.length === LIMITS.UPLOAD_CHUNKS_MAX) {
        yield batch
        batch = { first: number, chunks: [] }
        room = LIMITS.UPLOAD_MAX_BYTES
      }
      batch.chunks.push(chunk)
      room -= chunk.bytes
    }
    yield batch
  }
}

async function bytesOf({ files }: LocalTree, chunks: readonly Chunk[]): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.bytes, 0))
  let at = 0
  for (const { file, offset, bytes: length } of chunks) {
    const found = files.get(file.path)
    if (found === undefined) throw new TalkootError('E_INTERNAL', `${file.path} was not read`)
    await readPiece(found, offset, bytes.subarray(at, at + length))
    at += length
  }
  return bytes
}
