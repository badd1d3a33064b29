/** Long jobs in little memory: receipts on their way out of the ledger, and the verifier that reads them. */

import { createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { expect, test } from 'vitest'
import { ReceiptExport } from '../../node/jobs/receipt-export.ts'
import { BlobStore } from '../../node/store/blobs.ts'
import { JobStore } from '../../node/store/job-store.ts'
import { openLedger } from '../../node/store/ledger.ts'
import { PeerNumbers } from '../../node/store/peer-numbers.ts'
import { ReceiptStore } from '../../node/store/receipt-store.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { endOf, signReceipt } from '../../protocol/receipt.ts'
import type { Attempt } from '../../protocol/work.ts'
import { verifyResults } from '../../sdk/verify/verify.ts'
import { liveHeap } from '../sim/heap.ts'
import { newSigner, signJob } from '../worker/submitter.ts'

const MiB = 2 ** 20
/** RECEIPT_UNITS=3000000 for the figures of docs/receipts.md. */
const UNITS = Number(process.env.RECEIPT_UNITS ?? 200_000)

test('hundreds of thousands of signed units are exported and verified while the heap stays flat', {
  timeout: 600_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'talkoot-receipts-'))
  const ledger = openLedger(join(folder, 'ledger.sqlite'))
  try {
    const peers = new PeerNumbers(ledger)
    const jobs = new JobStore({ ledger, peers })
    const blobs = new BlobStore(join(folder, 'blobs'))
    const [signer, worker] = [await newSigner(), await newSigner()]
    const axes: [string, { kind: 'range'; from: number; to: number; step: number }][] = [
      ['n', { kind: 'range', from: 0, to: UNITS, step: 1 }],
    ]
    const made = await signJob(signer, 'exports.default = ({ n }) => n', {}, { sweep: { kind: 'product', axes } })
    blobs.put(Buffer.from(made.source))
    const { id, n } = jobs.add({ ...made, units: UNITS, createdMs: 0 })
    for (let unit = 0; unit < UNITS; unit += LIMITS.FRAME_UNITS_MAX) {
      const size = Math.min(LIMITS.FRAME_UNITS_MAX, UNITS - unit)
      const attempts = Array.from(
        { length: size },
        (_, i): Attempt => ({ unit: unit + i, ok: true, value: `${unit + i}` }),
      )
      const signed = await signReceipt(worker, id, attempts)
      ledger.transaction(() => {
        jobs.keepReceipt(n, worker.peer, signed.receipt, signed.signature)
        for (const attempt of attempts) keep(jobs, n, worker.peer, attempt)
      })
    }
    jobs.end(n, 'done', 1)

    const receipts = new ReceiptStore({ ledger, peers })
    const files = { receipts: join(folder, 'receipts'), results: join(folder, 'results.jsonl') }
    const heap = liveHeap()
    const before = heap()
    const rssBefore = process.memoryUsage().rss
    let most = 0
    const watched = async function* (lines: AsyncIterable<string>) {
      let count = 0
      for await (const line of lines) {
        count += 1
        if (count % 200 === 0) most = Math.max(most, heap() - before)
        yield line
      }
    }
    const began = performance.now()
    const lines = new ReceiptExport({ jobs, receipts, blobs, signer, chainOf: () => [] }).lines(
      id,
      new AbortController().signal,
    )
    await pipeline(Readable.from(watched(lines)), createWriteStream(files.receipts))
    const exported = performance.now()
    await pipeline(Readable.from(rows(worker.peer)), createWriteStream(files.results))
    const verifying = performance.now()
    const proof = await verifyResults(files)
    const verified = performance.now()
    const after = heap() - before
    const rss = process.memoryUsage().rss - rssBefore
    console.info(
      `${UNITS} units: ${(statSync(files.receipts).size / MiB).toFixed(0)} MiB of receipts exported in ` +
        `${((exported - began) / 1e3).toFixed(1)} s, verified in ${((verified - verifying) / 1e3).toFixed(1)} s, ` +
        `heap +${(Math.max(most, after) / MiB).toFixed(1)} MiB, rss +${(rss / MiB).toFixed(0)} MiB`,
    )
    expect(proof).toMatchObject({ accepted: UNITS, agreement: [{ signers: 1, units: UNITS }] })
    expect(Math.max(most, after)).toBeLessThan(24 * MiB)
    expect(rss).toBeLessThan(256 * MiB)
  } finally {
    ledger.close()
    rmSync(folder, { recursive: true, force: true })
  }
})

function keep(jobs: JobStore, job: number, peer: string, attempt: Attempt): void {
  if (!attempt.ok) return
  const { unit, value } = attempt
  const voices = [{ peer, digest: endOf(attempt), code: null }]
  const facts = { ok: true, code: null, blame: null, attempts: 1, disagreed: false, error: null, revision: 0 }
  jobs.results.keep(job, { unit, seq: unit + 1, value, voices, ...facts })
}

function* rows(peer: string): Generator<string> {
  for (let n = 0; n < UNITS; n++) {
    yield `${JSON.stringify({ unit: n, params: { n }, peers: [peer], attempts: 1, status: 'accepted', value: n })}\n`
  }
}
