/** How the files of a tree come to the node of this machine, and those of units from it, over its local API. */

import { z } from 'zod'
import { DIGEST_PATTERN } from '../canonical.ts'
import { LIMITS } from '../limits.ts'

/** Paths of the local API. What is sent is kept for UPLOAD_IDLE_MS, or as long as a job needs it. */
export const TREE_API = {
  /** PUT the description of a tree: TreeUpload. @throws E_TREE, E_DISK_BUDGET, E_DISK_TAKEN */
  tree: (digest: string) => `/v1/trees/${digest}`,
  /** PUT `count` chunks from `first` on, one after the other, as the body: TreeUpload. @throws E_BLOB */
  chunks: (digest: string) => `/v1/trees/${digest}/chunks`,
  /** GET the description of the files a unit left. @throws E_NOT_FOUND */
  unitFiles: (digest: string) => `/v1/unit-files/${digest}`,
  /** GET all of their bytes, chunk after chunk; a connection that breaks means they are not whole. */
  unitFilesBytes: (digest: string) => `/v1/unit-files/${digest}/bytes`,
} as const

const number = z.int().min(0)

/** As it stands in a URL. */
export const chunksQuerySchema = z.strictObject({
  first: z.coerce.number().pipe(number),
  count: z.coerce.number().pipe(number.min(1).max(LIMITS.UPLOAD_CHUNKS_MAX)),
})
export type ChunksQuery = z.infer<typeof chunksQuerySchema>

export const treeUploadSchema = z.object({
  schema: z.literal('talkoot.tree/1'),
  digest: z.string().regex(DIGEST_PATTERN),
  /** Chunks that are not there, as ranges in order: the first UPLOAD_RANGES_MAX of them. None: it is whole. */
  missing: z.array(z.tuple([number, number])).max(LIMITS.UPLOAD_RANGES_MAX),
})
export type TreeUpload = z.infer<typeof treeUploadSchema>
