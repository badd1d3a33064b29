/** Names of files that go from one machine to another. */

import { LIMITS } from '../limits.ts'

/** Also used in the sandbox, which has nothing of Node. */
const utf8 = new TextEncoder()
const bytesIn = (text: string): number => utf8.encode(text).length

/**
 * What is wrong with a relative path of a unit's file, with `/` between its parts; null: nothing. It stays in its folder,
 * prints on one line, and no shell takes it for an option.
 */
export function filePathFault(path: string): string | null {
  if (bytesIn(path) > LIMITS.FILE_PATH_MAX_BYTES) return `is longer than ${LIMITS.FILE_PATH_MAX_BYTES} bytes`
  const parts = path.split('/')
  if (parts.length > LIMITS.FILE_PATH_PARTS_MAX) return `lies deeper than ${LIMITS.FILE_PATH_PARTS_MAX} names`
  for (const part of parts) {
    if (part === '' || part === '.' || part === '..') return 'is not a plain relative path'
    if (bytesIn(part) > LIMITS.FILE_NAME_MAX_BYTES) return `has a name over ${LIMITS.FILE_NAME_MAX_BYTES} bytes`
    if (/[\p{C}\\]/u.test(part)) return 'has control characters or a backslash'
    if (part.startsWith('-')) return 'has a name that begins with a dash'
  }
  return null
}

/** The folders it lies in, the deepest first, up to one that is known: those above that are known too. */
export function* newFolders(path: string, known: ReadonlySet<string>): Generator<string> {
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
    const folder = path.slice(0, at)
    if (known.has(folder)) return
    yield folder
  }
}

/** Two files in one place, or that would be on a system that ignores case; or one in the place of a folder. Null: none. */
export function clashOf(paths: Iterable<string>, foldersMax: number): string | null {
  const files = new Set<string>()
  const folders = new Set<string>()
  for (const path of paths) {
    const key = path.normalize('NFC').toLowerCase()
    if (files.has(key) || folders.has(key)) return `${path} is there twice, or differs from another in case only`
    files.add(key)
    for (const folder of newFolders(key, folders)) {
      if (files.has(folder)) return `${path} lies in a file`
      folders.add(folder)
      if (folders.size > foldersMax) return `they lie in over ${foldersMax} folders`
    }
  }
  return null
}
