/** Which trees units in the sandbox of JavaScript tasks can be given: it lays each file down by itself, for every unit. */

import { TalkootError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import type { Tree, TreeFile } from './tree.ts'

/** @throws E_TREE when it has links, or more files than SANDBOX_INPUT_FILES_MAX */
export function sandboxInputs({ files, links: [link] = [] }: Tree): readonly TreeFile[] {
  if (link !== undefined) throw new TalkootError('E_TREE', `${link.path} is a link: such tasks are given files`)
  if (files.length <= LIMITS.SANDBOX_INPUT_FILES_MAX) return files
  throw new TalkootError('E_TREE', `${files.length} files: such tasks are given ${LIMITS.SANDBOX_INPUT_FILES_MAX}`)
}
