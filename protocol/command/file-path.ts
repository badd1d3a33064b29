/** Names of files that go from one machine to another. */

import { LIMITS } from '../limits.ts'

/**
 * What is wrong with a relative path of a unit's file, with `/` between its parts; null: nothing. It stays in its folder,
 * prints on one line, and no shell takes it for an option.
 */
export function filePathFault(path: string): string | null {
  if (Buffer.byteLength(path) > LIMITS.FILE_PATH_MAX_BYTES) return `is longer than ${LIMITS.FILE_PATH_MAX_BYTES} bytes`
  for (const part of path.split('/')) {
    if (part === '' || part === '.' || part === '..') return 'is not a plain relative path'
    if (Buffer.byteLength(part) > LIMITS.FILE_NAME_MAX_BYTES)
      return `has a name over ${LIMITS.FILE_NAME_MAX_BYTES} bytes`
    if (/[\p{C}\\]/u.test(part)) return 'has control characters or a backslash'
    if (part.startsWith('-')) return 'has a name that begins with a dash'
  }
  return null
}

/** Two files in one place, or that would be on a system that ignores case; or one in the place of a folder. Null: none. */
export function clashOf(paths: Iterable<string>, foldersMax: number): string | null {
  const files = new Set<string>()
  const folders = new Set<string>()
  for (const path of paths) {
    const key = path.normalize('NFC').toLowerCase()
    if (files.has(key) || folders.has(key)) return `${path} is there twice, or differs from another in case only`
    files.add(key)
    for (let at = key.indexOf('/'); at >= 0; at = key.indexOf('/', at + 1)) {
      const folder = key.slice(0, at)
      if (files.has(folder)) return `${path} lies in a file`
      folders.add(folder)
      if (folders.size > foldersMax) return `they lie in over ${foldersMax} folders`
    }
  }
  return null
}
