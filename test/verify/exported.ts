/** A job that was run by workers who sign, and the two files a scientist takes away from it. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ReceiptExport } from '../../node/jobs/receipt-export.ts'
import { PeerNumbers } from '../../node/store/peer-numbers.ts'
import { ReceiptStore } from '../../node/store/receipt-store.ts'
import type { ResultRow } from '../../protocol/api.ts'
import type { Chain } from '../../protocol/membership/index.ts'
import { decodeSeal, encodeSeal, LinesDigest, lineOf, type Seal, textOf } from '../../protocol/proof.ts'
import type { Signer } from '../../protocol/signatures.ts'
import type { Attempt } from '../../protocol/work.ts'
import { toJsonl } from '../../sdk/index.ts'
import { resultOf } from '../../sdk/result.ts'
import { type Proof, verifyResults } from '../../sdk/verify/verify.ts'
import { Laboratory } from '../jobs/laboratory.ts'
import { scripted } from '../jobs/scripted-worker.ts'
import { newSigner } from '../worker/submitter.ts'

export type Exported = {
  submitter: Signer
  /** Three, of whom the last lies. */
  workers: Signer[]
  job: string
  /** Lines with their ends. */
  receipts: string[]
  results: string[]
  certified: Map<string, Chain>
}

/** Unit 5 throws, everywhere. */
function answer(liar: boolean, unit: number): Attempt {
  if (unit === 5) return { unit, ok: false, code: 'E_TASK_THREW', message: 'five', blame: 'program' }
  return { unit, ok: true, value: liar ? '-1' : JSON.stringify({ square: unit * unit }) }
}

/** A sweep of ten units, two of three must agree. */
export async function runAndExport(
  certified: Map<string, Chain> = new Map(),
  init: { mesh?: string; admit?(worker: string): Promise<void>; verify?: object } = {},
): Promise<Exported> {
  await using lab = await Laboratory.open({ slots: 0, ...init })
  const workers = [await newSigner(), await newSigner(), await newSigner()]
  for (const { peer } of workers) await init.admit?.(peer)
  for (const [i, signer] of workers.entries()) {
    lab.mesh.enter(
      signer.peer,
      scripted(signer, {
        onRun: (act, { job, units }) =>
          act.tell(
            job,
            units.map(([unit]) => answer(i === 2, unit)),
          ),
      }),
      { ad: { cpus: 4 } },
    )
  }
  const { id } = await lab.submit(10, { verify: init.verify ?? { kind: 'quorum', agree: 2, of: 3 }, retries: 0 })
  await lab.ended(id)
  return {
    submitter: lab.signer,
    workers,
    job: id,
    receipts: await exportOf(lab, id, certified),
    results: await jsonl(await lab.rows(id)),
    certified,
  }
}

export async function exportOf(lab: Laboratory, id: string, certified = new Map<string, Chain>()): Promise<string[]> {
  const receipts = new ReceiptStore({ ledger: lab.ledger, peers: new PeerNumbers(lab.ledger) })
  const chainOf = (peer: string) => certified.get(peer) ?? []
  const { store: jobs, blobs, signer } = lab
  const lines: string[] = []
  const read = new ReceiptExport({ jobs, receipts, blobs, signer, chainOf }).lines(id, AbortSignal.timeout(120_000))
  for await (const line of read) lines.push(line)
  return lines
}

/** As `job results --out x.jsonl` writes it. */
export async function jsonl(rows: ResultRow[]): Promise<string[]> {
  return inFolder(async (folder) => {
    const file = join(folder, 'results.jsonl')
    async function* results() {
      for (const row of rows) yield resultOf(row)
    }
    await toJsonl(file)(results())
    return linesIn(await readFile(file, 'utf8'))
  })
}

export const linesIn = (text: string): string[] => text.split(/(?<=\n)/)

type Files = { receipts: readonly string[] | Uint8Array; results: readonly string[] | Uint8Array }

/** What the two files prove. @throws what they are refused with */
export async function verified({ receipts, results }: Files): Promise<Proof> {
  return inFolder(async (folder) => {
    const files = { receipts: join(folder, 'receipts'), results: join(folder, 'results.jsonl') }
    await writeFile(files.receipts, content(receipts))
    await writeFile(files.results, content(results))
    return verifyResults(files)
  })
}

const content = (lines: readonly string[] | Uint8Array) => (lines instanceof Uint8Array ? lines : lines.join(''))

/** The code the two files are refused with; null: they are not. */
export const refusal = (files: Files): Promise<string | null> =>
  verified(files).then(
    () => null,
    (error: { code?: string }) => error.code ?? String(error),
  )

/** As a submitter would who lies: receipts numbered anew, and a seal over what is there now. */
export async function resealed({ submitter }: Exported, lines: readonly string[], changes: Partial<Seal> = {}) {
  const sealed = JSON.parse(lines.at(-1) ?? '')
  let n = 0
  const body = lines.slice(0, -1).map((line) => {
    const value = JSON.parse(line)
    if ('n' in value) n += 1
    return 'n' in value ? lineOf({ ...value, n }) : line
  })
  const digest = new LinesDigest()
  for (const line of body) digest.add(line)
  const old = decodeSeal(Buffer.from(sealed.seal, 'base64'))
  const seal = encodeSeal({ ...old, receipts: n, lines: digest.digest(), ...changes })
  return [...body, lineOf({ seal: textOf(seal), signature: textOf(await submitter.sign('seal', seal)) })]
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'talkoot-proof-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
