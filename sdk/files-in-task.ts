/** Files that are part of a task: few and small. */

import { findFiles, readPiece } from '../node/files/read-tree.ts'
import type { FileInTask } from '../protocol/command/parts.ts'
import { TalkootError } from '../protocol/errors.ts'
import { LIMITS } from '../protocol/limits.ts'
import { namedBy } from './inputs.ts'
import { tooBig } from './task-bundle.ts'

export type FilesInTaskOptions = { cwd: string; filesMax: number; signal: AbortSignal }

/** Reads what is named, in the order of paths. @throws E_FILE, E_TREE, E_TASK_TOO_BIG */
export async function readFilesInTask(
  names: readonly string[],
  { cwd, filesMax, signal }: FilesInTaskOptions,
): Promise<FileInTask[]> {
  if (names.length === 0) return []
  const { files: found, links } = await findFiles(await namedBy(names, cwd), signal)
  const [link] = links
  if (link !== undefined) throw new TalkootError('E_TREE', `${link.path} is a link: the task is given files`)
  if (found.reduce((sum, { facts }) => sum + facts.size, 0) > LIMITS.TASK_MAX_BYTES) throw tooBig()
  if (found.length > filesMax) throw new TalkootError('E_TASK_TOO_BIG', `${found.length} files, ${filesMax} at most`)
  const read: FileInTask[] = []
  for (const file of found) {
    const bytes = Buffer.alloc(file.facts.size)
    await readPiece(file, 0, bytes)
    read.push({ path: file.path, base64: bytes.toString('base64') })
  }
  return read.sort((a, b) => (a.path < b.path ? -1 : 1))
}
