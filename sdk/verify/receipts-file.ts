/** Reads exported receipts and believes none of it: each line is checked against the keys that are said to have signed it. */

import { digestOf } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { decodeManifest, type Manifest } from '../../protocol/manifest.ts'
import { type CertifiedRole, verifyChain } from '../../protocol/membership/index.ts'
import {
  blobLineSchema,
  certificateLineSchema,
  decodeSeal,
  headLineSchema,
  LinesDigest,
  receiptLineSchema,
  type Seal,
  sealLineSchema,
} from '../../protocol/proof.ts'
import { decodeReceipt } from '../../protocol/receipt.ts'
import { isSignedBy } from '../../protocol/signatures.ts'
import { type CompiledSweep, compileUnits } from '../../protocol/sweep/generator.ts'
import type { Receipt } from '../../protocol/work.ts'
import { type Line, linesOf, parseLine, readLine } from './lines.ts'
import type { Tally } from './tally.ts'

/** What a certificate that leads to the key of the job's mesh says of a signer. */
export type Membership = { role: CertifiedRole; issuer: string }

export type CheckedReceipts = {
  job: string
  manifest: Manifest
  sweep: CompiledSweep
  seal: Seal
  /** Who signed receipts, by number. */
  signers: Signers
  /** Of signers, and of the submitter. */
  members: ReadonlyMap<string, Membership>
}

/** Peer ids by number, in the order in which they first signed. */
class Signers {
  readonly ids: string[] = []
  readonly #numbers = new Map<string, number>()

  find(id: string): number | undefined {
    return this.#numbers.get(id)
  }

  numberOf(id: string): number {
    const known = this.#numbers.get(id)
    if (known !== undefined) return known
    this.#numbers.set(id, this.ids.length)
    return this.ids.push(id) - 1
  }
}

type Components = { tally: Tally }
type Init = { file: string; signal: AbortSignal | undefined }
type Kind = 'head' | 'blob' | 'n' | 'peer' | 'seal'

/** In the order in which they come; each kind may be absent but for the first and the last. */
const KINDS: readonly Kind[] = ['head', 'blob', 'n', 'peer', 'seal']

/** Ends of all receipts go to the tally. @throws E_FILE, E_PROOF_*, E_RECEIPT_* */
export async function checkReceipts(components: Components, init: Init): Promise<CheckedReceipts> {
  const reading = new Reading(components, init.file)
  for await (const line of linesOf(init.file, init.signal)) await reading.take(line)
  return reading.finish()
}

class Reading {
  readonly #tally: Tally
  readonly #file: string
  readonly #digest = new LinesDigest()
  readonly #signers = new Signers()
  readonly #members = new Map<string, Membership>()
  readonly #blobs: Blobs
  #kind: Kind | null = null
  #job: { id: string; manifest: Manifest } | null = null
  #sweep: CompiledSweep | null = null
  #seal: Seal | null = null
  /** The number the next receipt should have, and those that were passed over. */
  #next = 1
  #gap: { from: number; to: number } | null = null

  constructor({ tally }: Components, file: string) {
    this.#tally = tally
    this.#file = file
    this.#blobs = new Blobs()
  }

  async take(line: Line): Promise<void> {
    const value = parseLine(this.#file, line)
    const kind = kindOf(value)
    if (kind === null || this.#seal !== null) throw this.#misplaced(line)
    if (KINDS.indexOf(kind) < KINDS.indexOf(this.#kind ?? 'head') || (kind === 'head') !== (this.#kind === null)) {
      throw this.#misplaced(line)
    }
    this.#kind = kind
    if (kind === 'head') await this.#takeHead(readLine(headLineSchema, this.#file, line, value))
    else if (kind === 'blob') this.#blobs.take(readLine(blobLineSchema, this.#file, line, value))
    else if (kind === 'n') await this.#takeReceipt(readLine(receiptLineSchema, this.#file, line, value))
    else if (kind === 'peer') await this.#takeCertificates(readLine(certificateLineSchema, this.#file, line, value))
    else await this.#takeSeal(readLine(sealLineSchema, this.#file, line, value))
    if (kind !== 'seal') this.#digest.add(line.bytes)
  }

  finish(): CheckedReceipts {
    const job = this.#job
    if (job === null) throw new TalkootError('E_PROOF_FORM', `${this.#file} is empty`)
    if (this.#seal === null) throw new TalkootError('E_PROOF_SEAL', 'the file was cut off: it has no seal')
    const sweep = this.#sweepOf(job.manifest)
    return {
      job: job.id,
      manifest: job.manifest,
      sweep,
      seal: this.#seal,
      signers: this.#signers,
      members: this.#members,
    }
  }

  async #takeHead({ job, manifest, signature }: { job: string; manifest: Uint8Array; signature: Uint8Array }) {
    let decoded: ReturnType<typeof decodeManifest>
    try {
      decoded = decodeManifest(manifest)
    } catch (cause) {
      throw new TalkootError('E_PROOF_MANIFEST', 'the job description cannot be read', { cause })
    }
    if (decoded.id !== job) throw new TalkootError('E_PROOF_MANIFEST', 'the job id is not that of the job description')
    if (!(await isSignedBy(decoded.manifest.submitter, 'manifest', manifest, signature))) {
      throw new TalkootError('E_PROOF_MANIFEST', 'the job description is not signed by its submitter')
    }
    this.#job = decoded
  }

  async #takeReceipt({ n, receipt, signature }: { n: number; receipt: Uint8Array; signature: Uint8Array }) {
    const { id, manifest } = this.#begun()
    this.#checkNumber(n)
    const { worker, job, units, ends } = readReceipt(receipt, n)
    if (!(await isSignedBy(worker, 'receipt', receipt, signature))) {
      throw new TalkootError('E_RECEIPT_FORGED', `receipt ${n} is not signed by ${worker}`, {
        meta: { receipt: n, worker },
      })
    }
    if (job !== id) throw new TalkootError('E_RECEIPT_JOB', `receipt ${n} is of job ${job}`, { meta: { receipt: n } })
    const { size, next } = this.#sweepOf(manifest)
    const outside = units.find((unit) => unit >= size || next(unit - 1) !== unit)
    if (outside !== undefined) {
      throw new TalkootError('E_RECEIPT_UNITS', `receipt ${n} is for unit ${outside}, which the job does not have`, {
        meta: { receipt: n },
      })
    }
    if (!this.#tally.addReceipt(signature)) throw twice(n)
    const signer = this.#signers.numberOf(worker)
    for (const [i, unit] of units.entries()) this.#tally.addEnd({ unit, signer, said: ends[i] ?? '' })
  }

  /** Receipts are numbered from 1; one number that is passed over may still come, and then the order is wrong. */
  #checkNumber(n: number): void {
    const gap = this.#gap
    if (gap !== null && n >= gap.from && n <= gap.to) {
      throw new TalkootError('E_RECEIPT_ORDER', `receipt ${n} comes after receipt ${this.#next - 1}`)
    }
    if (n < this.#next) throw twice(n)
    if (n > this.#next) this.#gap ??= { from: this.#next, to: n - 1 }
    this.#next = n + 1
  }

  async #takeCertificates({ peer, chain }: { peer: string; chain: Parameters<typeof verifyChain>[0]['chain'] }) {
    const { manifest } = this.#begun()
    try {
      const [leaf] = await verifyChain({ mesh: manifest.mesh, peer, chain })
      this.#members.set(peer, { role: leaf.role, issuer: leaf.issuer })
    } catch (cause) {
      throw new TalkootError('E_PROOF_CERTIFICATE', `the certificate of ${peer} does not hold`, { cause })
    }
  }

  async #takeSeal({ seal: bytes, signature }: { seal: Uint8Array; signature: Uint8Array }) {
    const { id, manifest } = this.#begun()
    const { count } = this.#sweepOf(manifest)
    if (!(await isSignedBy(manifest.submitter, 'seal', bytes, signature))) {
      throw new TalkootError('E_PROOF_SEAL', 'the seal is not signed by the submitter of the job')
    }
    const seal = decodeSeal(bytes)
    if (seal.job !== id) throw new TalkootError('E_PROOF_SEAL', `the seal is of job ${seal.job}`)
    if (this.#gap !== null) throw missing(this.#gap.from)
    if (this.#next - 1 < seal.receipts) throw missing(this.#next)
    if (seal.lines !== this.#digest.digest()) {
      throw new TalkootError('E_PROOF_SEAL', 'something in the file is not as it was sealed')
    }
    const decided = seal.accepted + seal.failed
    if (decided > count || (seal.state === 'done' && decided < count)) {
      throw new TalkootError('E_PROOF_SEAL', `the seal counts ${decided} decided units of ${count}`)
    }
    this.#seal = seal
  }

  /** Once the blobs are here. */
  #sweepOf({ task, ...job }: Manifest): CompiledSweep {
    if (this.#sweep !== null) return this.#sweep
    if (this.#blobs.get(task.digest).length !== task.bytes) throw alteredTask(task.digest)
    this.#sweep = compileUnits(job, (digest) => this.#blobs.get(digest))
    return this.#sweep
  }

  #begun(): { id: string; manifest: Manifest } {
    if (this.#job === null) throw new TalkootError('E_PROOF_FORM', `${this.#file} does not begin with a job`)
    return this.#job
  }

  #misplaced({ at }: Line): TalkootError {
    return new TalkootError('E_PROOF_FORM', `line ${at} of ${this.#file} is out of place`, { meta: { line: at } })
  }
}

/** The bytes of blobs, which come in parts, one blob after another. */
class Blobs {
  readonly #whole = new Map<string, Uint8Array>()
  #parts: { blob: string; of: number; bytes: Uint8Array[] } | null = null
  #total = 0

  take({ blob, part, of, bytes }: { blob: string; part: number; of: number; bytes: Uint8Array }): void {
    this.#parts ??= { blob, of, bytes: [] }
    const parts = this.#parts
    this.#total += bytes.length
    const follows = parts.blob === blob && parts.of === of && part === parts.bytes.length + 1
    if (!follows || this.#whole.has(blob) || this.#total > LIMITS.BLOB_MAX_BYTES) throw alteredTask(blob)
    parts.bytes.push(bytes)
    if (part < of) return
    const all = Buffer.concat(parts.bytes)
    if (digestOf(all) !== blob) throw alteredTask(blob)
    this.#whole.set(blob, all)
    this.#parts = null
  }

  get(digest: string): Uint8Array {
    const bytes = this.#whole.get(digest)
    if (bytes === undefined) throw alteredTask(digest)
    return bytes
  }
}

function kindOf(value: unknown): Kind | null {
  if (typeof value !== 'object' || value === null) return null
  return KINDS.find((kind) => Object.hasOwn(value, kind === 'head' ? 'schema' : kind)) ?? null
}

function readReceipt(bytes: Uint8Array, n: number): Receipt {
  let receipt: Receipt
  try {
    receipt = decodeReceipt(bytes)
  } catch (cause) {
    throw new TalkootError('E_RECEIPT_FORGED', `receipt ${n} cannot be read`, { cause, meta: { receipt: n } })
  }
  if (receipt.units.length === receipt.ends.length) return receipt
  throw new TalkootError('E_RECEIPT_FORGED', `receipt ${n} does not say one end for each unit`, {
    meta: { receipt: n },
  })
}

const twice = (n: number) =>
  new TalkootError('E_RECEIPT_TWICE', `receipt ${n} is there twice`, { meta: { receipt: n } })
const missing = (n: number) =>
  new TalkootError('E_RECEIPT_MISSING', `receipt ${n} is missing`, { meta: { receipt: n } })
const alteredTask = (digest: string) =>
  new TalkootError('E_PROOF_TASK', `the bytes of ${digest} are not those the job description names`)
