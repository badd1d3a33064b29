/** The files a program brings, as they are named: files, folders, globs, and templates filled with each point of the sweep. */

import { glob, lstat, realpath } from 'node:fs/promises'
import { resolve } from 'node:path'
import { onFile } from '../node/files/file-error.ts'
import { describeFiles, type Found, type FoundFile, findFiles, type Named } from '../node/files/read-tree.ts'
import type { Json } from '../protocol/canonical.ts'
import { fill, parametersIn, templateFault } from '../protocol/command/template.ts'
import { placeOf } from '../protocol/data/point-inputs.ts'
import { sandboxInputs } from '../protocol/data/sandbox-inputs.ts'
import { checkPaths, decodeTree, type Tree, type TreeRef, treeBytes } from '../protocol/data/tree.ts'
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

/** What all units find, and what each finds of its point: files named by templates, as they are filled with it. */
export type JobInputs = { shared: LocalTree | null; points: { local: LocalTree; names: string[] } | null }

type NamedInputs = {
  names: readonly string[]
  /** Asked only where there are templates. */
  points: () => CompiledSweep
  cwd: string
}

/**
 * Reads what is named. Of files a template stands for each unit finds its own. What is not named as such, but by a glob, or is
 * another's by a link, all units find.
 * @param mayDiffer whether a file at that place may be there for some units only
 * @throws E_INPUT, E_SWEEP_TOO_BIG, E_FILE, E_TREE
 */
export async function readJobInputs(
  { names, points, cwd }: NamedInputs,
  { signal, onProgress }: ReadOptions,
  mayDiffer: (place: string) => boolean = () => true,
): Promise<JobInputs> {
  const templates = names.filter(isTemplate)
  const forAll = new Set(names.filter((name) => !isTemplate(name)))
  const own: Named[] = []
  const used: string[] = []
  for (const [template, filled] of filledNames(templates, points)) {
    let isUsed = false
    for (const name of filled) {
      const [path, file] = [placeOf(name), resolve(cwd, name)]
      const differs = path !== '' && mayDiffer(path) && (await lstat(file).catch(() => null)) !== null
      if (differs) own.push({ path, file })
      else forAll.add(name)
      isUsed ||= differs
    }
    if (isUsed) used.push(template)
  }
  const named = await namedBy([...forAll], cwd)
  const found = await findFiles(own, signal)
  if (found.links.length > 0 || used.length > LIMITS.POINT_INPUT_NAMES_MAX) {
    return { shared: await readNamed([...named, ...own], [], { signal, onProgress }), points: null }
  }
  const shared = named.length === 0 ? null : await readNamed(named, [], { signal, onProgress })
  const files = found.files.filter(({ path, file }) => shared?.files.get(path)?.file !== file)
  checkPaths([...(shared?.files.keys() ?? []), ...files.map(({ path }) => path)])
  if (files.length === 0) return { shared, points: null }
  return { shared, points: { local: await readFound({ files, links: [] }, { signal, onProgress }), names: used } }
}

/** The trees to be sent, and what a task says of them. */
export const describedInputs = ({ shared, points }: JobInputs) => ({
  trees: [...(shared === null ? [] : [shared]), ...(points === null ? [] : [points.local])],
  named: {
    inputs: shared?.ref ?? null,
    ...(points === null ? {} : { pointInputs: { tree: points.local.ref, names: points.names } }),
  },
})

/**
 * Each template, filled with every point of the sweep.
 * @param points asked only where there are templates
 * @throws E_INPUT, E_SWEEP_TOO_BIG
 */
export function filledNames(templates: readonly string[], points: () => CompiledSweep): Map<string, Set<string>> {
  const filled = new Map(templates.map((template) => [template, new Set<string>()]))
  if (templates.length === 0) return filled
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
    for (const [template, names] of filled) {
      const name = fill(template, unit, point)
      if (name === undefined) throw new TalkootError('E_INPUT', `${template}: unit ${unit} has no such parameter`)
      names.add(name)
    }
  }
  return filled
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

/** As `readJobInputs`, for tasks in the sandbox of JavaScript. @throws as that */
export async function readSandboxInputs(...given: Parameters<typeof readJobInputs>): Promise<JobInputs> {
  const read = await readJobInputs(...given)
  if (read.shared !== null) sandboxInputs(read.shared.tree)
  return read
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

async function readNamed(named: readonly Named[], also: readonly string[], reading: ReadOptions): Promise<LocalTree> {
  return await readFound(await findFiles(named, reading.signal, also), reading)
}

async function readFound(found: Found, { signal, onProgress }: ReadOptions): Promise<LocalTree> {
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
