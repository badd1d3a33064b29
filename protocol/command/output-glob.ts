/** Globs that say which files of a unit are kept. */

import { TalkootError } from '../errors.ts'
import { filePathFault } from './file-path.ts'

/** The folder of the unit itself: every new file. */
const EVERYTHING = '.'

/** @throws E_INPUT when it leads out of the folder of the unit, or no file could have such a name */
export function globOf(filled: string): string {
  const glob = filled.replace(/^\.\/(?=.)/, '').replace(/(?<=[^/])\/$/, '')
  const fault = glob === EVERYTHING ? null : filePathFault(glob)
  if (fault !== null) throw new TalkootError('E_INPUT', `--out ${JSON.stringify(glob.slice(0, 200))} ${fault}`)
  return glob
}
