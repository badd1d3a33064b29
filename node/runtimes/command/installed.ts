/** Whether a program is there, before a process is spent on finding out. */

import { accessSync, constants } from 'node:fs'
import { join, normalize } from 'node:path'
import { UNIT_FOLDER } from './launch.ts'

const PATH = ['/usr/local/bin', '/usr/bin', '/bin']

/** `inputs`: the files the program brings. What is only there once the unit runs is believed to be. */
export function existsHere(named: string, inputs: string | null): boolean {
  // As it is written, `..` would lead out of what a unit sees, and the answer tell what is there.
  const name = named.startsWith('/') ? normalize(named) : named
  if (!name.includes('/')) return PATH.some((folder) => isExecutable(join(folder, name)))
  const inside = normalize(join(UNIT_FOLDER, name.startsWith('/') ? '' : name))
  if (name.startsWith('/usr/') || name.startsWith('/bin/')) return isExecutable(name)
  if (!inside.startsWith(`${UNIT_FOLDER}/`)) return true
  return inputs !== null && isExecutable(join(inputs, inside.slice(UNIT_FOLDER.length)))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
