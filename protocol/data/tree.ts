/**
 * Files as data: a list of names, lengths and the digests of their pieces of TREE_CHUNK_BYTES. Its canonical bytes are
 * named by their digest, so one name stands for every byte of every file. Chunks are numbered through all files in order.
 */

import { z } from 'zod'
import { bytesSchema } from '../bytes.ts'
import { canonicalBytes, DIGEST_PATTERN, type Digest, decodeCanonical, digestOf } from '../canonical.ts'
import { clashOf, filePathFault, newFolders } from '../command/file-path.ts'
import { TalkootError } from '../errors.ts'
import { faultText } from '../fault-text.ts'
import { parseToFirstFault } from '../first-fault.ts'
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

const linkSchema = z.strictObject({
  path: z.string(),
  /** As it stands in the link: relative to its folder, to what is in the tree; or absolute, to what is installed in `/usr`. */
  to: z.string().max(LIMITS.FILE_PATH_MAX_BYTES),
})
export type TreeLink = z.infer<typeof linkSchema>

/** Each sorted by path, by code units. A tree without links says nothing of them. */
export type Tree = { v: 1; files: readonly TreeFile[]; links?: readonly TreeLink[] | undefined }

const shape = z.strictObject({
  v: z.literal(1),
  files: z.array(fileSchema).max(LIMITS.TREE_FILES_MAX, TOO_MANY),
  links: z.array(linkSchema).min(1).max(LIMITS.TREE_FILES_MAX, TOO_MANY).optional(),
})

/** The chunks a file of that many bytes has. */
export const chunksOf = (bytes: number): number => Math.ceil(bytes / LIMITS.TREE_CHUNK_BYTES)

export const treeBytes = ({ files }: Tree): number => files.reduce((sum, { bytes }) => sum + bytes, 0)

/** The names at its root, of files and folders. */
export const topNames = (tree: Tree): string[] => [...new Set(pathsOf(tree).map((path) => path.split('/', 1)[0] ?? ''))]

/** Of files and of links. */
const pathsOf = ({ files, links = [] }: Tree): string[] => [...files, ...links].map(({ path }) => path)

/** The files or links in the order they have in a tree. */
export const inOrder = <T extends { path: string }>(files: readonly T[]): T[] =>
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
  const parsed = parseToFirstFault(shape, content)
  if (!parsed.success) throw new TalkootError('E_TREE', faultText(parsed.error).slice(0, FAULT_MAX_CHARS))
  const { links = [], ...tree } = parsed.data
  checkPaths(pathsOf({ ...tree, links }))
  checkOrder(tree.files)
  checkOrder(links)
  if (links.length > 0) checkLinks({ ...tree, links })
  if (treeBytes(tree) > LIMITS.TREE_MAX_BYTES) {
    throw new TalkootError('E_TREE', `over ${LIMITS.TREE_MAX_BYTES} bytes of files`)
  }
  return parsed.data
}

function checkOrder(entries: readonly { path: string }[]): void {
  for (const [at, { path }] of entries.entries()) {
    const before = entries[at - 1]
    if (before !== undefined && before.path >= path) throw new TalkootError('E_TREE', 'the files are not in order')
  }
}

/** Whoever follows a link meets something of the tree, or of the system; never anything else of a machine. */
function checkLinks(tree: Tree): void {
  const there = new Set(pathsOf(tree))
  const folders = new Set<string>()
  for (const path of there) for (const folder of newFolders(path, folders)) folders.add(folder)
  const linked = new Set(tree.links?.map(({ path }) => path))
  for (const { path, to } of tree.links ?? []) {
    const target = targetOf(path, to, linked)
    if (target !== null && (target === '' || there.has(target) || folders.has(target))) continue
    throw new TalkootError('E_TREE', `${JSON.stringify(path)} is a link that leads out, to ${JSON.stringify(to)}`)
  }
}

/** A path in the tree, '' for what is installed; null: neither. */
function targetOf(path: string, to: string, links: ReadonlySet<string>): string | null {
  if (to.startsWith('/usr/')) return filePathFault(to.slice(1)) === null ? '' : null
  const parts = path.split('/').slice(0, -1)
  for (const part of to.split('/')) {
    if (part === '..') {
      // After a link in the midst of a way, it leads elsewhere than it reads.
      if (links.has(parts.join('/')) || parts.pop() === undefined) return null
    } else if (part !== '.') parts.push(part)
  }
  const target = parts.join('/')
  return filePathFault(target) === null ? target : null
}

const tooLong = (): TalkootError =>
  new TalkootError('E_TREE', `names and digests take over ${LIMITS.TREE_DESCRIPTION_MAX_BYTES} bytes`)
