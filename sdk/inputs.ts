/** The files a program brings, as they are named: files, folders, globs, and templates filled with each point of the sweep. */

import { glob, lstat, realpath } from 'node:fs/promises'
import { basename, isAbsolute, normalize, resolve } from 'node:path'
import { onFile } from '../node/files/file-error.ts'
import { describeFiles, type FoundFile, findFiles, type Named } from '../node/files/read-tree.ts'
import type { Json } from '../protocol/canonical.ts'
import { fill, parametersIn, templateFault } from '../protocol/command/template.ts'
import { sandboxInputs } from '../protocol/data/sandbox-inputs.ts'
import { decodeTree, type Tree, type TreeRef, treeBytes } from '../protocol/data/tree.ts'
import { TalkootError } from '../protocol/errors.ts'
import { LIMITS } from '../protocol/limits.ts'
import type { CompiledSweep } from '../protocol/sweep/generator.ts'

/** A tree of files of this machine, read once and not sent yet. */
export type LocalTree = {
  ref: TreeRef
  tree: Tree
  description: Uint8Array
  /** By their paths in the tree. */
  files: ReadonlyMap<string, FoundFile>
}

/** How far something is that takes a while, bytes. */
export type Progress = (done: number, of: number) => void

export type ReadOptions = { signal: AbortSignal; onProgress?: Progress | undefined }

/** Whether a name of files stands for others, point by point. */
export const isTemplate = (name: string): boolean => /[{}]/.test(name)

/**
 * Names without templates: each filled with every point of the sweep.
 * @param points asked only where there are templates
 * @throws E_INPUT, E_SWEEP_TOO_BIG
 */
export function filledNames(names: readonly string[], points: () => CompiledSweep): string[] {
  const plain = new Set(names.filter((name) => !isTemplate(name)))
  const templates = names.filter(isTemplate)
  if (templates.length === 0) return [...plain]
  const sweep = points()
  for (const template of templates) {
    const unknown = parametersIn([template]).find((name) => !sweep.names.has(name))
    const fault = templateFault(template) ?? (unknown === undefined ? null : `names {${unknown}}, which no point has`)
    if (fault !== null) throw new TalkootError('E_INPUT', `${JSON.stringify(template)} ${fault}`)
  }
  if (sweep.size > LIMITS.INPUT_POINTS_MAX) {
    throw new TalkootError(
      'E_SWEEP_TOO_BIG',
      `files by point of over ${LIMITS.INPUT_POINTS_MAX} points: name their folder`,
    )
  }
  for (let unit = 0; unit < sweep.size; unit++) {
    const point: Readonly<Record<string, Json>> = sweep.point(unit)
    for (const template of templates) {
      const name = fill(template, unit, point)
      if (name === undefined) throw new TalkootError('E_INPUT', `${template}: unit ${unit} has no such parameter`)
      plain.add(name)
    }
  }
  return [...plain]
}

/** Reads what is named. Null when nothing is. @throws E_FILE, E_TREE */
export async function readInputs(
  names: readonly string[],
  cwd: string,
  { signal, onProgress }: ReadOptions,
): Promise<LocalTree | null> {
  if (names.length === 0) return null
  return await readNamed(await namedBy(names, cwd), [], { signal, onProgress })
}

/** As `readInputs`, for tasks in the sandbox of JavaScript. @throws E_FILE, E_TREE */
export async function readSandboxInputs(...given: Parameters<typeof readInputs>): Promise<LocalTree | null> {
  const local = await readInputs(...given)
  if (local !== null) sandboxInputs(local.tree)
  return local
}

/** A folder at the place it has: what environments hold leads to it. */
export async function readFolders(
  folders: readonly string[],
  cwd: string,
  reading: ReadOptions,
): Promise<{ at: string; local: LocalTree }[]> {
  const places = folders.map((folder) => resolve(cwd, folder))
  const also = await Promise.all(places.map((place) => onFile(place, () => realpath(place))))
  const read: { at: string; local: LocalTree }[] = []
  for (const at of places) read.push({ at, local: await readNamed([{ path: '', file: at }], also, reading) })
  return read
}

async function readNamed(
  named: readonly Named[],
  also: readonly string[],
  { signal, onProgress }: ReadOptions,
): Promise<LocalTree> {
  const found = await findFiles(named, signal, also)
  const bytes = found.files.reduce((sum, { facts }) => sum + facts.size, 0)
  let read = 0
  const { digest, description } = await describeFiles(found, signal, (more) => {
    read += more
    onProgress?.(read, bytes)
  })
  const tree = decodeTree(description)
  const files = new Map(found.files.map((file) => [file.path, file]))
  return { ref: { digest, bytes: treeBytes(tree) }, tree, description, files }
}

const MAGIC = /[*?[\]]/

/** What names stand for, not looked into yet. @throws E_FILE, E_TREE */
export async function namedBy(names: readonly string[], cwd: string): Promise<Named[]> {
  const named: Named[] = []
  for (const name of names) named.push(...(await namedByOne(name, cwd)))
  return named
}

/** A name that is there is that, whatever characters it has. */
async function namedByOne(name: string, cwd: string): Promise<Named[]> {
  const file = resolve(cwd, name)
  const isThere = (await lstat(file).catch(() => null)) !== null
  if (isThere || !MAGIC.test(name)) return [{ path: placeOf(name), file }]
  const named: Named[] = []
  for await (const match of glob(name, { cwd })) {
    named.push({ path: placeOf(match), file: resolve(cwd, match) })
    if (named.length > LIMITS.TREE_FILES_MAX) throw new TalkootError('E_TREE', `over ${LIMITS.TREE_FILES_MAX} files`)
  }
  if (named.length === 0) throw new TalkootError('E_FILE', `no file matches ${name}`)
  return named
}

/** Where it lies there: as it is named here, or by its name alone if that is outside the folder. */
export function placeOf(name: string): string {
  const plain = normalize(name).replace(/\/$/, '')
  if (plain === '.') return ''
  return isAbsolute(plain) || plain.startsWith('..') ? basename(plain) : plain
}
