/** Whether a program is there, before a process is spent on finding out. */

import { accessSync, constants, realpathSync } from 'node:fs'
import { join, normalize } from 'node:path'
import type { Brought } from '../program/job-files.ts'
import { searchPath, UNIT_FOLDER } from '../program/surroundings.ts'
import { BINARIES } from './launch.ts'

/** What a job brings: the folders whose files are in that of a unit, first to last, and others by their places. */
export type Brings = { inputs: readonly string[]; brought: readonly Brought[] }

/** What is only there once the unit runs is believed to be. */
export function existsHere(named: string, brings: Brings): boolean {
  // As it is written, `..` would lead out of what a unit sees, and the answer tell what is there.
  if (!named.includes('/'))
    return searchPath(brings.brought, BINARIES).some((folder) => isThere(`${folder}/${named}`, brings))
  return isThere(normalize(named.startsWith('/') ? named : join(UNIT_FOLDER, named)), brings)
}

/** What a name stands for, with the version that many systems have in the last name of a program; null: only the unit would know. */
export function fileOf(named: string, brings: Brings): string | null {
  const place = named.includes('/')
    ? normalize(named.startsWith('/') ? named : join(UNIT_FOLDER, named))
    : searchPath(brings.brought, BINARIES)
        .map((folder) => `${folder}/${named}`)
        .find((path) => isThere(path, brings))
  if (place === undefined) return null
  const brought = brings.brought.some(({ at }) => place.startsWith(`${at}/`))
  return !brought && (place.startsWith('/usr/') || place.startsWith('/bin/')) ? realpathSync(place) : place
}

function isThere(inside: string, { inputs, brought }: Brings): boolean {
  for (const { folder, at } of brought) {
    if (inside.startsWith(`${at}/`)) return isExecutable(join(folder, inside.slice(at.length)))
  }
  if (inside.startsWith('/usr/') || inside.startsWith('/bin/')) return isExecutable(inside)
  if (!inside.startsWith(`${UNIT_FOLDER}/`)) return true
  return inputs.some((folder) => isExecutable(join(folder, inside.slice(UNIT_FOLDER.length))))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
