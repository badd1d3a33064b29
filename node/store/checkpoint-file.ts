/**
 * Checkpoints of own jobs from one run of this node to the next: written when it stops, read once when it starts. Hints as
 * before: a node that is killed leaves none, and what cannot be read is as good as none.
 */

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { bytesSchema } from '../../protocol/bytes.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { digestSchema } from '../../protocol/manifest.ts'

const keptCheckpointSchema = z.strictObject({
  job: digestSchema,
  /** Who may go on from it. */
  key: z.string(),
  unit: z.int().min(0),
  peer: z.string(),
  state: bytesSchema(LIMITS.UNIT_CHECKPOINT_MAX_BYTES),
  ageMs: z.number().min(0),
})
export type KeptCheckpoint = z.infer<typeof keptCheckpointSchema>

/** Before each: how long it is, big-endian. */
const HEADER_BYTES = 4

export class CheckpointFile {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  /** @throws what the disk does */
  write(checkpoints: Iterable<KeptCheckpoint>): void {
    const parts = [...checkpoints].flatMap((checkpoint) => {
      const frame = encodeFrame(checkpoint)
      const header = Buffer.alloc(HEADER_BYTES)
      header.writeUInt32BE(frame.length)
      return [header, frame]
    })
    if (parts.length === 0) return
    const written = `${this.#path}.new`
    writeFileSync(written, Buffer.concat(parts), { mode: 0o600 })
    renameSync(written, this.#path)
  }

  /** They are gone from the disk then: a later start would go on from what is long past. */
  take(): KeptCheckpoint[] {
    const taken: KeptCheckpoint[] = []
    try {
      const bytes = readFileSync(this.#path)
      rmSync(this.#path)
      for (let at = 0; at < bytes.length; ) {
        const from = at + HEADER_BYTES
        at = from + bytes.readUInt32BE(at)
        taken.push(decodeFrame(keptCheckpointSchema, bytes.subarray(from, at)))
      }
      return taken
    } catch {
      return taken
    }
  }
}
