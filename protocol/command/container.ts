/**
 * A program in an image as a task: the image is a tree of one file, the archive that `docker save` or `podman save` writes.
 * Its canonical JSON is the source of a task of runtime `container`, so the digest of the task covers image and program.
 */

import { z } from 'zod'
import { canonicalJson } from '../canonical.ts'
import { type TreeRef, treeRefSchema } from '../data/tree.ts'
import { decodeSource } from '../source.ts'
import { programSchema, treesOfProgram } from './program.ts'

const containerSchema = z.strictObject({
  v: z.literal(1),
  image: treeRefSchema,
  /** What is started in it, as a task of runtime `command`. */
  program: programSchema,
})
export type ContainerProgram = z.infer<typeof containerSchema>

export const treesOfContainer = ({ image, program }: ContainerProgram): TreeRef[] => [image, ...treesOfProgram(program)]

export const encodeContainer = (container: z.input<typeof containerSchema>): string => canonicalJson(container)

/** @throws E_SOURCE */
export function decodeContainer(source: string): ContainerProgram {
  return decodeSource(containerSchema, source, 'container')
}
