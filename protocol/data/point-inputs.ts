/**
 * Files that are named by the parameters of a unit: each unit finds those of its own point and no others, so a machine fetches
 * only those of the units it is given. All together they are one tree, of which a unit has a part. What the part is follows from
 * the tree's description and the point alone, on every machine.
 */

import { basename, isAbsolute, normalize } from 'node:path'
import { z } from 'zod'
import type { Digest, Json } from '../canonical.ts'
import { templateSchema } from '../command/parts.ts'
import { fill } from '../command/template.ts'
import { TalkootError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import { encodeTree, type Tree, type TreeFile, treeRefSchema } from './tree.ts'

export const pointInputsSchema = z.strictObject({
  /** Of the files of all points; without links. */
  tree: treeRefSchema,
  /** Each stands for a file or a folder of the tree, for every point. */
  names: z.array(templateSchema).min(1).max(LIMITS.POINT_INPUT_NAMES_MAX),
})
export type PointInputs = z.infer<typeof pointInputsSchema>

/** Some files of a tree, which are a tree by themselves: whoever has the whole can give it. */
export type TreePart = {
  of: Digest
  /** Files and folders of the whole. */
  names: readonly string[]
  digest: Digest
  description: Uint8Array
  tree: Tree
  /** For each of its files, which of the whole it is. */
  at: readonly number[]
}

/** Where a file lies in a tree: as it is named, or by its name alone if that is outside the folder names start from; '' is that folder. */
export function placeOf(name: string): string {
  const plain = normalize(name).replace(/\/$/, '')
  if (plain === '.') return ''
  return isAbsolute(plain) || plain.startsWith('..') ? basename(plain) : plain
}

/** The places of a unit's own files. @throws E_INPUT */
export function placesOf({ names }: Pick<PointInputs, 'names'>, unit: number, params: string): string[] {
  const point: Json = JSON.parse(params)
  const named = typeof point === 'object' && point !== null && !Array.isArray(point) ? point : {}
  return names.map((name) => {
    const filled = fill(name, unit, named)
    if (filled === undefined) throw new TalkootError('E_INPUT', `"${name}" names a parameter the unit does not have`)
    return placeOf(filled)
  })
}

/** Names that the tree does not have stand for nothing. @throws E_TREE */
export function partOf(of: Digest, { files }: Tree, names: readonly string[]): TreePart {
  const found = new Set<number>()
  for (const name of names) {
    const [from, to] = rangeOf(files, name)
    for (let index = from; index < to; index++) found.add(index)
  }
  const at = [...found].sort((a, b) => a - b)
  const tree: Tree = { v: 1, files: at.flatMap((index) => files[index] ?? []) }
  return { of, names, ...encodeTree(tree), tree, at }
}

/** How many files names stand for, at most: without a look at each. */
export function filesNamed({ files }: Tree, names: readonly string[]): number {
  return names.reduce((sum, name) => {
    const [from, to] = rangeOf(files, name)
    return sum + to - from
  }, 0)
}

/** A file, or all that lies in a folder: the files are in order, so these follow each other. */
function rangeOf(files: readonly TreeFile[], name: string): [from: number, to: number] {
  const file = firstFrom(files, name)
  if (files[file]?.path === name) return [file, file + 1]
  // What comes first after all that begins with `name/`.
  return [firstFrom(files, `${name}/`), firstFrom(files, `${name}0`)]
}

/** The first that does not come before the path. */
function firstFrom(files: readonly TreeFile[], path: string): number {
  let [low, high] = [0, files.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((files[middle]?.path ?? '') < path) low = middle + 1
    else high = middle
  }
  return low
}
