/**
 * Exported receipts: a job's manifest, its task, every receipt as the worker signed it, the workers' certificates, and
 * the submitter's seal. One JSON object a line, in this order; docs/receipts.md says what it proves.
 *
 *   head, blob parts, receipts (numbered from 1), certificates, seal
 *
 * The seal signs a digest of every line before it and of the decided units, so that nothing can be left out, added,
 * moved or changed by anybody but the submitter; what workers signed not even by the submitter.
 */

import { createHash, type Hash, hash } from 'node:crypto'
import { base32 } from 'multiformats/bases/base32'
import { z } from 'zod'
import { count } from './amounts.ts'
import { canonicalBytes, canonicalJson, type Digest, decodeCanonical, type Json } from './canonical.ts'
import { TalkootError } from './errors.ts'
import { LIMITS } from './limits.ts'
import { digestSchema } from './manifest.ts'

/** Bytes as base64, in the one way they can be written. */
const base64 = (maxBytes: number) =>
  z
    .string()
    .max(Math.ceil(maxBytes / 3) * 4)
    .transform((text, context) => {
      const bytes = Buffer.from(text, 'base64')
      if (bytes.toString('base64') !== text) context.addIssue('not base64')
      return new Uint8Array(bytes)
    })

const signature = base64(LIMITS.SIGNATURE_MAX_BYTES)

export const headLineSchema = z.strictObject({
  schema: z.literal('talkoot.receipts/1'),
  job: digestSchema,
  manifest: base64(LIMITS.MANIFEST_MAX_BYTES),
  signature,
})

/** The task and the rows the manifest names: part `part` of `of`, from 1. */
export const blobLineSchema = z.strictObject({
  blob: digestSchema,
  part: z.int().min(1),
  of: z.int().min(1),
  bytes: base64(LIMITS.BLOB_CHUNK_BYTES),
})

export const receiptLineSchema = z.strictObject({
  n: z.int().min(1),
  receipt: base64(LIMITS.MANIFEST_MAX_BYTES),
  signature,
})

/** The certificates of a peer, from its own up to the one the mesh key signed. */
export const certificateLineSchema = z.strictObject({
  peer: z.string().max(100),
  chain: z
    .array(z.strictObject({ bytes: base64(LIMITS.CERT_MAX_BYTES), signature }))
    .min(1)
    .max(LIMITS.CERT_CHAIN_MAX),
})

export const sealLineSchema = z.strictObject({ seal: base64(LIMITS.CERT_MAX_BYTES), signature })

/** What the submitter signs (context `seal`): how much there was when the receipts were exported. */
const sealSchema = z.strictObject({
  v: z.literal(1),
  job: digestSchema,
  state: z.enum(['running', 'done', 'cancelled']),
  receipts: count,
  /** Digest of every line before the seal, line ends included. */
  lines: digestSchema,
  accepted: count,
  failed: count,
  /** Digest of the decided units, see `UnitsDigest`. */
  units: digestSchema,
})
export type Seal = z.infer<typeof sealSchema>

export const encodeSeal = (seal: Seal): Uint8Array => canonicalBytes(seal)

/** @throws E_PROOF_SEAL */
export function decodeSeal(bytes: Uint8Array): Seal {
  try {
    return sealSchema.parse(decodeCanonical(bytes))
  } catch (cause) {
    throw new TalkootError('E_PROOF_SEAL', 'the seal does not follow its schema', { cause })
  }
}

export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

/** A line as it is written. */
export const lineOf = (line: object): string => `${JSON.stringify(line)}\n`

/**
 * One decided unit as the seal counts it: all that a line of results says of it, but for its parameters, which the
 * manifest tells, and with the digest of its value in place of the value.
 */
export const digestOfUnit = (row: { [name: string]: Json }): Uint8Array => hash('sha256', canonicalJson(row), 'buffer')

/** SHA-256 of the digests of decided units in the order of their numbers. */
export class UnitsDigest {
  readonly #hash: Hash = createHash('sha256')

  add(unit: Uint8Array): void {
    this.#hash.update(unit)
  }

  digest(): Digest {
    return digestFrom(this.#hash)
  }
}

/** SHA-256 of lines as they are written. */
export class LinesDigest {
  readonly #hash: Hash = createHash('sha256')

  add(line: string | Uint8Array): void {
    this.#hash.update(line)
  }

  digest(): Digest {
    return digestFrom(this.#hash.copy())
  }
}

const digestFrom = (made: Hash): Digest => base32.baseEncode(made.digest())
