/** What a unit leaves, as programs' files are collected: a line that names the glob that matches nothing, or a tar archive after an empty one. */

import { LIMITS } from '../../../../../protocol/limits.ts'
import { type Folder, type Leaf, leavesOf, matchesOf } from './files.ts'

const BLOCK_BYTES = 512
const NAME_BYTES = 100
/** Kinds of entries, as in `../../../tar.ts`. */
const KINDS = { file: '0', link: '2', device: '3', pipe: '6' } as const
const LONG_NAME = 'L'
const utf8 = new TextEncoder()

/** `given`: paths of what the unit was given, which is not given back. */
export function* archiveOf(root: Folder, globs: readonly string[], given: ReadonlySet<string>): Generator<Uint8Array> {
  const matched = globs.map((glob) => ({ glob, found: matchesOf(root, glob) }))
  const missing = matched.find(({ found }) => found.length === 0)
  yield utf8.encode(`${missing?.glob ?? ''}\n`)
  if (missing !== undefined) return
  const packed = new Set(given)
  for (const [at, found] of matched.flatMap((one) => one.found)) {
    for (const leaf of leavesOf(at, found)) {
      const [path] = leaf
      if (packed.has(path)) continue
      packed.add(path)
      yield* entry(leaf)
      // The node has refused it by now.
      if (packed.size - given.size > LIMITS.UNIT_FILES_MAX) return
    }
  }
  yield new Uint8Array(2 * BLOCK_BYTES)
}

function* entry([path, found]: Leaf): Generator<Uint8Array> {
  const name = utf8.encode(path)
  if (name.length >= NAME_BYTES) {
    yield header(utf8.encode('././@LongLink'), LONG_NAME, name.length + 1)
    yield name
    yield new Uint8Array(padding(name.length + 1) + 1)
  }
  const isFile = found.type === 'file'
  const bytes = isFile ? found.bytes : 0
  yield header(name.subarray(0, NAME_BYTES - 1), KINDS[found.type], bytes, isFile && found.executable)
  if (isFile) yield* found.content()
  yield new Uint8Array(padding(bytes))
}

const padding = (bytes: number): number => (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES

/** As GNU tar writes it, of nobody and without a time. */
function header(name: Uint8Array, kind: string, bytes: number, executable = false): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES)
  const write = (at: number, text: string): void => block.set(utf8.encode(text), at)
  block.set(name)
  write(100, executable ? '0000700' : '0000600')
  write(124, bytes.toString(8).padStart(11, '0'))
  write(156, kind)
  write(148, '        ')
  write(
    148,
    `${block
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0`,
  )
  return block
}
