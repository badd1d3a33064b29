/**
 * Files as data: a list of names, lengths and the digests of their pieces of TREE_CHUNK_BYTES. Its canonical bytes are
 * named by their digest, so one name stands for every byte of every file. Chunks are numbered through all files in order.
 */

import { z } from 'zod'
import { bytesSchema } from '../bytes.ts'
import { canonicalBytes, DIGEST_PATTERN, type Digest, decodeCanonical, digestOf } from '../canonical.ts'
import { clashOf, filePathFault } from '../command/file-path.ts'
import { TalkootError } from '../errors.ts'
import { LIMITS } from '../limits.ts'

const TOO_MANY = `over ${LIMITS.TREE_FILES_MAX} files`

/** A tree by its name, and what its files have together: nobody takes more for it than was said. */
export const treeRefSchema = z.strictObject({
  digest: z.string().regex(DIGEST_PATTERN),
  bytes: z.int().min(0).max(LIMITS.TREE_MAX_BYTES),
})
export type TreeRef = z.infer<typeof treeRefSchema>

/** Bytes of a SHA-256. */
export const CHUNK_DIGEST_BYTES = 32

const fileSchema = z
  .strictObject({
    /** Relative, with `/` between its parts. */
    path: z.string(),
    bytes: z.int().min(0).max(LIMITS.TREE_MAX_BYTES),
    executable: z.boolean(),
    /** The SHA-256 of each chunk, one after the other. */
    chunks: bytesSchema(LIMITS.TREE_DESCRIPTION_MAX_BYTES),
  })
  .refine(({ bytes, chunks }) => chunks.length === chunksOf(bytes) * CHUNK_DIGEST_BYTES, {
    error: 'the digests of its chunks do not fit its length',
  })
export type TreeFile = z.infer<typeof fileSchema>

/** Sorted by path, by code units. */
export type Tree = { v: 1; files: readonly TreeFile[] }

const shape = z.strictObject({ v: z.literal(1), files: z.array(fileSchema).max(LIMITS.TREE_FILES_MAX, TOO_MANY) })

/** The chunks a file of that many bytes has. */
export const chunksOf = (bytes: number): number => Math.ceil(bytes / LIMITS.TREE_CHUNK_BYTES)

export const treeBytes = ({ files }: Tree): number => files.reduce((sum, { bytes }) => sum + bytes, 0)

/** The names at its root, of files and folders. */
export const topNames = ({ files }: Tree): string[] => [
  ...new Set(files.map(({ path }) => path.split('/', 1)[0] ?? '')),
]

/** The files in the order they have in a tree. */
export const inOrder = (files: readonly TreeFile[]): TreeFile[] =>
  [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))

/** @throws E_TREE when it is none that `decodeTree` would take */
export function encodeTree(tree: Tree): { digest: Digest; description: Uint8Array } {
  const description = canonicalBytes(checked(tree))
  if (description.length > LIMITS.TREE_DESCRIPTION_MAX_BYTES) throw tooLong()
  return { digest: digestOf(description), description }
}

/** @throws E_TREE */
export function decodeTree(description: Uint8Array): Tree {
  if (description.length > LIMITS.TREE_DESCRIPTION_MAX_BYTES) throw tooLong()
  let content: unknown
  try {
    content = decodeCanonical(description)
  } catch (cause) {
    throw new TalkootError('E_TREE', 'the description of the files is not canonical CBOR', { cause })
  }
  return checked(content)
}

/** What is wrong with a name or the number of files is told before any is read. @throws E_TREE */
export function checkPaths(paths: readonly string[]): void {
  if (paths.length > LIMITS.TREE_FILES_MAX) throw new TalkootError('E_TREE', TOO_MANY)
  for (const path of paths) {
    const fault = filePathFault(path)
    // As JSON: a name may hold what must not reach a terminal.
    if (fault !== null) throw new TalkootError('E_TREE', `${JSON.stringify(path.slice(0, 200))} ${fault}`)
  }
  const clash = clashOf(paths, LIMITS.TREE_FOLDERS_MAX)
  if (clash !== null) throw new TalkootError('E_TREE', clash)
}

/** Thousands of files may each have a fault. */
const FAULT_MAX_CHARS = 500

function checked(content: unknown): Tree {
  const parsed = shape.safeParse(content)
  if (!parsed.success) throw new TalkootError('E_TREE', z.prettifyError(parsed.error).slice(0, FAULT_MAX_CHARS))
  const tree = parsed.data
  const paths = tree.files.map(({ path }) => path)
  checkPaths(paths)
  for (const [at, path] of paths.entries()) {
    const before = paths[at - 1]
    if (before !== undefined && before >= path) throw new TalkootError('E_TREE', 'the files are not in order')
  }
  if (treeBytes(tree) > LIMITS.TREE_MAX_BYTES) {
    throw new TalkootError('E_TREE', `over ${LIMITS.TREE_MAX_BYTES} bytes of files`)
  }
  return tree
}

const tooLong = (): TalkootError =>
  new TalkootError('E_TREE', `names and digests take over ${LIMITS.TREE_DESCRIPTION_MAX_BYTES} bytes`)
