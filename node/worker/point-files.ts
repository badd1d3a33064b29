/**
 * The files of a job of which each unit finds those of its point: told by the description of all of them, and fetched for the units
 * that come here. Where all together are few bytes they are fetched at once, and so they are found where they are already.
 */

import type { Digest } from '../../protocol/canonical.ts'
import { TreeLayout } from '../../protocol/data/layout.ts'
import { type PointInputs, partOf, placesOf, type TreePart } from '../../protocol/data/point-inputs.ts'
import { decodeTree, type Tree, treeBytes } from '../../protocol/data/tree.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { LaidTree, UnitInput } from '../runtimes/runtime.ts'
import type { FetchOptions, FetchTree } from './inputs.ts'

/** The description of a tree, of which nothing else is fetched. @throws E_BLOB, E_BUSY, E_NOT_FOUND, E_UNREACHABLE */
export type DescribeTree = (from: string, digest: Digest, signal: AbortSignal) => Promise<Uint8Array>

/** Files of one unit, on this disk until they are let go of. */
export type HeldFiles = LaidTree & { release(): void }

export type PointFiles = {
  /** Null: it has none. @throws E_INPUT, E_TREE, and as `FetchTree` */
  hold(unit: Pick<UnitInput, 'unit' | 'params'>, signal: AbortSignal): Promise<HeldFiles | null>
  release(): void
}

type From = { from: string; inputs: PointInputs }

/** Of a job of this node's own, or of few bytes: all are here. @throws as `FetchTree` */
export async function openOwnPointFiles(
  fetchTree: FetchTree,
  { from, inputs }: From,
  options: FetchOptions,
): Promise<PointFiles> {
  const { folder, layout, release } = await fetchTree(from, inputs.tree, options)
  return {
    hold: async (unit) => {
      const { tree } = partFor(unit, inputs, layout.tree)
      return tree.files.length === 0 ? null : { folder, layout: new TreeLayout(tree), release: () => undefined }
    },
    release,
  }
}

/** @throws E_TREE, and as `FetchTree` and `DescribeTree` */
export async function openPointFiles(
  { fetchTree, describeTree }: { fetchTree: FetchTree; describeTree: DescribeTree },
  { from, inputs, isOwn }: From & { isOwn: boolean },
  options: FetchOptions,
): Promise<PointFiles> {
  const { digest, bytes } = inputs.tree
  if (isOwn || bytes <= LIMITS.POINT_INPUTS_WHOLE_MAX_BYTES) {
    return await openOwnPointFiles(fetchTree, { from, inputs }, options)
  }
  const tree = decodeTree(await describeTree(from, digest, options.signal))
  if (treeBytes(tree) !== bytes) {
    throw new TalkootError('E_TREE', `files of points of ${treeBytes(tree)} bytes, said to be ${bytes}`)
  }
  return {
    hold: async (unit, signal) => {
      const part = partFor(unit, inputs, tree)
      if (part.tree.files.length === 0) return null
      return await fetchTree(from, { digest: part.digest, bytes }, { signal, part })
    },
    release: () => undefined,
  }
}

const partFor = ({ unit, params }: Pick<UnitInput, 'unit' | 'params'>, inputs: PointInputs, tree: Tree): TreePart =>
  partOf(inputs.tree.digest, tree, placesOf(inputs, unit, params))
