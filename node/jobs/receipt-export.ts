/** Everything that proves a job's results, line by line from the ledger: see protocol/proof.ts. Never holds it all. */

import { setImmediate } from 'node:timers/promises'
import { digestOf, type Json } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { decodeManifest, type JobId } from '../../protocol/manifest.ts'
import type { Chain } from '../../protocol/membership/index.ts'
import { digestOfUnit, encodeSeal, LinesDigest, lineOf, type Seal, textOf, UnitsDigest } from '../../protocol/proof.ts'
import type { Signer } from '../../protocol/signatures.ts'
import { type CompiledSweep, compileUnits } from '../../protocol/sweep/generator.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { JobStore, StoredJob } from '../store/job-store.ts'
import type { ReceiptStore } from '../store/receipt-store.ts'
import type { StoredResult } from '../store/result-store.ts'
import { toRow } from './result-reader.ts'

type Components = {
  jobs: JobStore
  receipts: ReceiptStore
  blobs: BlobStore
  signer: Signer
  /** The certificates of this node or of a connected peer; empty where none are at hand. */
  chainOf(peer: string): Chain
}

/** Receipts have up to some 15 KB each. */
const PAGE_RECEIPTS = 32
const PAGE_ROWS = 500

export class ReceiptExport {
  readonly #components: Components

  constructor(components: Components) {
    this.#components = components
  }

  /** Each line with its end. Of a job that runs: what there is now. @throws E_NOT_FOUND, and E_BLOB for a damaged task */
  async *lines(id: JobId, signal: AbortSignal): AsyncGenerator<string> {
    const { jobs, receipts } = this.#components
    const job = jobs.get(id)
    if (job === null) throw new TalkootError('E_NOT_FOUND', `no job ${id}`)
    // Decisions first: each was written with or after the receipts it rests on.
    const lastSeq = jobs.results.lastSeq(job.n)
    const lastPlace = receipts.last(job.n)
    const digest = new LinesDigest()
    const say = (line: object): string => {
      const text = lineOf(line)
      digest.add(text)
      return text
    }
    yield say({
      schema: 'talkoot.receipts/1',
      job: id,
      manifest: textOf(job.manifest),
      signature: textOf(job.signature),
    })
    const { manifest } = decodeManifest(job.manifest)
    const blobs = new Map([[manifest.task.digest, this.#components.blobs.get(manifest.task.digest)]])
    const sweep = compileUnits(manifest, (digest) => {
      const rows = this.#components.blobs.get(digest)
      blobs.set(digest, rows)
      return rows
    })
    for (const [blob, bytes] of blobs) for (const line of blobLines(blob, bytes)) yield say(line)
    const signers = new Set([manifest.submitter])
    let n = 0
    for await (const { peer, receipt, signature } of this.#receipts(job, lastPlace, signal)) {
      n += 1
      signers.add(peer)
      yield say({ n, receipt: textOf(receipt), signature: textOf(signature) })
    }
    for (const peer of signers) for (const line of this.#certificateLines(peer)) yield say(line)
    const units = await this.#units(job, { sweep, lastSeq }, signal)
    // Not whole, so not sealed.
    if (signal.aborted) return
    if (jobs.row(id) === null) throw new TalkootError('E_NOT_FOUND', `job ${id} has been removed`)
    yield await this.#seal({ v: 1, job: id, state: job.state, receipts: n, lines: digest.digest(), ...units })
  }

  async *#receipts({ n }: StoredJob, last: number, signal: AbortSignal) {
    for (let after = 0; after < last && !signal.aborted; ) {
      const page = this.#components.receipts.page(n, after, PAGE_RECEIPTS)
      for (const receipt of page) if (receipt.place <= last) yield receipt
      after = page.at(-1)?.place ?? last
      // However long the ledger, others have their turn between two pages.
      await setImmediate()
    }
  }

  *#certificateLines(peer: string): Generator<object> {
    const { chainOf, receipts } = this.#components
    const present = chainOf(peer)
    const chain = present.length > 0 ? present : receipts.chainOf(peer)
    if (chain.length === 0) return
    const links = chain.map(({ bytes, signature }) => ({ bytes: textOf(bytes), signature: textOf(signature) }))
    yield { peer, chain: links }
  }

  /** Of the units decided by then. */
  async #units(
    { n }: StoredJob,
    { sweep, lastSeq }: { sweep: CompiledSweep; lastSeq: number },
    signal: AbortSignal,
  ): Promise<Pick<Seal, 'accepted' | 'failed' | 'units'>> {
    const digest = new UnitsDigest()
    const counts = { accepted: 0, failed: 0 }
    for (let after = -1; !signal.aborted; ) {
      const page = this.#components.jobs.results.page(n, 'unit', after, PAGE_ROWS)
      for (const row of page) {
        if (row.seq > lastSeq) continue
        digest.add(digestOfUnit(decided(row, sweep)))
        counts[row.ok ? 'accepted' : 'failed'] += 1
      }
      const last = page.at(-1)
      if (last === undefined) break
      after = last.unit
      await setImmediate()
    }
    return { ...counts, units: digest.digest() }
  }

  async #seal(seal: Seal): Promise<string> {
    const bytes = encodeSeal(seal)
    return lineOf({ seal: textOf(bytes), signature: textOf(await this.#components.signer.sign('seal', bytes)) })
  }
}

function* blobLines(blob: string, bytes: Uint8Array): Generator<object> {
  const of = Math.ceil(bytes.length / LIMITS.BLOB_CHUNK_BYTES)
  for (let part = 1; part <= of; part++) {
    const from = (part - 1) * LIMITS.BLOB_CHUNK_BYTES
    yield { blob, part, of, bytes: textOf(bytes.subarray(from, from + LIMITS.BLOB_CHUNK_BYTES)) }
  }
}

/** What its line of results says; see `digestOfUnit`. */
function decided(stored: StoredResult, sweep: CompiledSweep): { [name: string]: Json } {
  const { params: _params, seq: _seq, ...row } = toRow(stored, sweep)
  return row.status === 'accepted' ? { ...row, value: digestOf(stored.value ?? '') } : row
}
