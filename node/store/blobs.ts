/** Bytes named by their digest: task bundles and the rows of sweeps. A file appears whole or not at all. */

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DIGEST_PATTERN, type Digest, digestOf } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'

export class BlobStore {
  readonly #folder: string
  #writes = 0

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  has(digest: Digest): boolean {
    return existsSync(this.#file(digest))
  }

  /** @throws E_NOT_FOUND, and E_BLOB when the disk changed the bytes */
  get(digest: Digest): Uint8Array {
    if (!this.has(digest)) throw absent(digest)
    const bytes = readFileSync(this.#file(digest))
    if (digestOf(bytes) !== digest) {
      rmSync(this.#file(digest), { force: true })
      throw new TalkootError('E_BLOB', `the bytes kept for ${digest} were damaged; they have been removed`)
    }
    return bytes
  }

  /** Of what is kept here, unverified; null: nothing of the digest. */
  sizeOf(digest: Digest): number | null {
    return statSync(this.#file(digest), { throwIfNoEntry: false })?.size ?? null
  }

  /** Some of the bytes, unverified, `length` at most. @throws E_NOT_FOUND */
  part(digest: Digest, at: number, length: number): Uint8Array {
    if (!this.has(digest)) throw absent(digest)
    const file = openSync(this.#file(digest), 'r')
    try {
      const bytes = new Uint8Array(length)
      return bytes.subarray(0, readSync(file, bytes, 0, length, at))
    } finally {
      closeSync(file)
    }
  }

  /** Keeps the bytes and returns their digest. @throws E_BLOB when they are too long or not those expected */
  put(bytes: Uint8Array, expected?: Digest): Digest {
    if (bytes.length > LIMITS.BLOB_MAX_BYTES) {
      throw new TalkootError('E_BLOB', `${bytes.length} bytes, ${LIMITS.BLOB_MAX_BYTES} at most`)
    }
    const digest = digestOf(bytes)
    if (expected !== undefined && digest !== expected)
      throw new TalkootError('E_BLOB', `the bytes are not those of ${expected}`)
    if (this.has(digest)) {
      const now = new Date()
      utimesSync(this.#file(digest), now, now)
      return digest
    }
    const partial = join(this.#folder, `.${digest}.${process.pid}.${this.#writes++}`)
    try {
      writeFileSync(partial, bytes, { mode: 0o600, flush: true })
      renameSync(partial, this.#file(digest))
    } catch (cause) {
      rmSync(partial, { force: true })
      throw new TalkootError('E_DISK_FULL', 'the bytes could not be written', { cause })
    }
    return digest
  }

  /** Removes what nobody needs: but for what came lately, as the job it is for may not be there yet. */
  sweep(needed: ReadonlySet<Digest>): void {
    const lately = Date.now() - LIMITS.UPLOAD_IDLE_MS
    for (const name of readdirSync(this.#folder)) {
      const file = join(this.#folder, name)
      if (!needed.has(name) && statSync(file).mtimeMs < lately) rmSync(file, { force: true })
    }
  }

  #file(digest: Digest): string {
    if (!DIGEST_PATTERN.test(digest)) throw new TalkootError('E_BLOB', 'not a digest')
    return join(this.#folder, digest)
  }
}

const absent = (digest: Digest): TalkootError =>
  new TalkootError('E_NOT_FOUND', `no bytes with digest ${digest} are kept here`)
