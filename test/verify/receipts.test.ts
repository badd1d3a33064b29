/** What exported receipts prove, and that nothing in them or in the results can be changed, by anybody. */

import { beforeAll, describe, expect, it } from 'vitest'
import { canonicalJson, digestOf } from '../../protocol/canonical.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { decodeManifest, encodeManifest } from '../../protocol/manifest.ts'
import { type Chain, issueCertificate } from '../../protocol/membership/index.ts'
import { digestOfUnit, lineOf, textOf, UnitsDigest } from '../../protocol/proof.ts'
import { signReceipt } from '../../protocol/receipt.ts'
import { newSigner } from '../worker/submitter.ts'
import { type Exported, refusal, resealed, runAndExport, verified } from './exported.ts'

let whole: Exported
let other: Exported
beforeAll(async () => {
  whole = await runAndExport()
  other = await runAndExport()
})

const isReceipt = (line: string) => line.startsWith('{"n":')
const firstReceipt = (lines: readonly string[]) => lines.findIndex(isReceipt)
const replaced = (lines: readonly string[], at: number, ...by: string[]) => lines.toSpliced(at, 1, ...by)
/** Changes what one line says. */
const edited = (lines: readonly string[], at: number, change: (value: Record<string, unknown>) => object) =>
  replaced(lines, at, lineOf(change(JSON.parse(lines[at] ?? ''))))
const rowOf = (unit: number) => whole.results.findIndex((line) => JSON.parse(line).unit === unit)

describe('receipts as they were exported', () => {
  it('prove each value, by whom, and what was contested', async () => {
    const proof = await verified(whole)
    expect(proof).toMatchObject({
      job: whole.job,
      submitter: whole.submitter.peer,
      state: 'done',
      units: 10,
      accepted: 9,
      failed: 1,
      statedOnly: 0,
    })
    expect(proof.contested).toBeGreaterThan(0)
    expect(proof.agreement.reduce((sum, { units }) => sum + units, 0)).toBe(9)
    expect(proof.agreement.every(({ signers }) => signers >= 2)).toBe(true)
    const [liar] = proof.signers.filter(({ differed }) => differed > 0)
    expect(liar).toMatchObject({ peer: whole.workers[2]?.peer, differed: proof.contested, role: null })
  })

  it('prove results that say how sure they are, and that this was not changed', async () => {
    const sure = await runAndExport(new Map(), { verify: { kind: 'confidence', goal: 0.999 } })
    expect(await verified(sure)).toMatchObject({ accepted: 9, failed: 1 })
    const at = sure.results.findIndex((line) => 'confidence' in JSON.parse(line))
    const results = edited(sure.results, at, (row) => ({ ...row, confidence: 1 }))
    expect(await refusal({ ...sure, results })).toBe('E_RESULT_ALTERED')
  })

  it('prove results in any order, and as standard output has them', async () => {
    expect(await refusal({ ...whole, results: whole.results.toReversed() })).toBe(null)
    const printed = whole.results.map((line) => lineOf({ schema: 'talkoot.result/1', ...JSON.parse(line) }))
    expect(await refusal({ ...whole, results: printed })).toBe(null)
  })

  it('say of a failure that only the submitter states that nobody signed it', async () => {
    const results = edited(whole.results, rowOf(5), (row) => ({
      ...row,
      error: { code: 'E_DEADLINE', message: 'late' },
    }))
    const receipts = await resealed(whole, whole.receipts, { units: sealOf(results) })
    expect(await verified({ receipts, results })).toMatchObject({ failed: 1, statedOnly: 1 })
  })
})

describe('a change by whoever has the files', () => {
  const cases: [string, string, () => Parameters<typeof refusal>[0]][] = [
    ['a value', 'E_RESULT_ALTERED', () => results((row) => ({ ...row, value: { square: 17 } }))],
    ['a parameter', 'E_RESULT_ALTERED', () => results((row) => ({ ...row, params: { n: 8 } }))],
    ['the number of attempts', 'E_RESULT_ALTERED', () => results((row) => ({ ...row, attempts: 9 }))],
    ['the peers', 'E_RESULT_ALTERED', () => results((row) => ({ ...row, peers: [whole.workers[0]?.peer] }))],
    ['a peer nobody knows', 'E_RECEIPT_MISSING', () => results((row) => ({ ...row, peers: [other.workers[0]?.peer] }))],
    ['a unit beyond the job', 'E_RESULT_ALTERED', () => results((row) => ({ ...row, unit: 10 }))],
    ['a result left out', 'E_RESULT_MISSING', () => ({ ...whole, results: whole.results.slice(1) })],
    ['a result twice', 'E_RESULT_TWICE', () => ({ ...whole, results: [...whole.results, whole.results[0] ?? ''] })],
    ['white space', 'E_PROOF_FORM', () => ({ ...whole, results: replaced(whole.results, 0, ` ${whole.results[0]}`) })],
    ['a table', 'E_PROOF_FORM', () => ({ ...whole, results: ['unit,n\n', '0,0\n'] })],
    ['a receipt left out', 'E_RECEIPT_MISSING', () => receipts((lines, at) => lines.toSpliced(at, 1))],
    [
      'the last receipt left out',
      'E_RECEIPT_MISSING',
      () => receipts((l) => l.toSpliced(l.findLastIndex(isReceipt), 1)),
    ],
    ['a receipt twice', 'E_RECEIPT_TWICE', () => receipts((lines, at) => lines.toSpliced(at, 0, lines[at] ?? ''))],
    [
      'another order',
      'E_RECEIPT_ORDER',
      () => receipts((lines, at) => lines.toSpliced(at, 2, lines[at + 1] ?? '', lines[at] ?? '')),
    ],
    ['a receipt of another job', 'E_RECEIPT_JOB', () => receipts((lines, at) => replaced(lines, at, foreign(1)))],
    [
      'a forged signature',
      'E_RECEIPT_FORGED',
      () => receipts((lines, at) => edited(lines, at, (line) => ({ ...line, signature: textOf(new Uint8Array(64)) }))),
    ],
    ['the manifest', 'E_PROOF_MANIFEST', () => receipts((lines) => edited(lines, 0, altered))],
    [
      'the head of another job',
      'E_RECEIPT_JOB',
      () => receipts((lines) => replaced(lines, 0, other.receipts[0] ?? '')),
    ],
    [
      'the task',
      'E_PROOF_TASK',
      () => receipts((lines) => edited(lines, 1, (line) => ({ ...line, bytes: textOf(Buffer.from('other')) }))),
    ],
    ['no task', 'E_PROOF_TASK', () => receipts((lines) => lines.toSpliced(1, 1))],
    ['no seal', 'E_PROOF_SEAL', () => receipts((lines) => lines.slice(0, -1))],
    [
      'the seal of another job',
      'E_PROOF_SEAL',
      () => receipts((l) => replaced(l, l.length - 1, other.receipts.at(-1) ?? '')),
    ],
    ['something after the seal', 'E_PROOF_FORM', () => receipts((lines) => [...lines, lines.at(-1) ?? ''])],
    ['a second head', 'E_PROOF_FORM', () => receipts((lines) => [lines[0] ?? '', ...lines])],
    ['a certificate that is none', 'E_PROOF_CERTIFICATE', () => receipts((l) => l.toSpliced(-1, 0, certificate()))],
    ['nothing', 'E_PROOF_FORM', () => receipts(() => [])],
    ['a line that never ends', 'E_PROOF_FORM', () => receipts(() => ['x'.repeat(LIMITS.API_LINE_MAX_CHARS + 1)])],
  ]

  it.each(cases)('%s: %s', async (_, code, files) => {
    expect(await refusal(files())).toBe(code)
  })

  it('the receipts of another job', async () => {
    expect(await refusal({ receipts: other.receipts, results: whole.results })).toBe('E_RECEIPT_MISSING')
  })
})

describe('certificates', () => {
  it('say who was let in, if they lead to the key of the mesh, and cannot be left out', async () => {
    const [mesh, founder] = [await newSigner(), await newSigner()]
    const chains = new Map<string, Chain>()
    const certified = await runAndExport(chains, {
      mesh: mesh.peer,
      admit: async (worker) => {
        const base = { mesh: mesh.peer, token: null, notAfter: 1 }
        const top = await issueCertificate(mesh, { ...base, peer: founder.peer, role: 'admin' })
        chains.set(worker, [await issueCertificate(founder, { ...base, peer: worker, role: 'worker' }), top])
      },
    })
    const { signers } = await verified(certified)
    expect(new Set(signers.map(({ role, issuer }) => `${role} by ${issuer}`))).toEqual(
      new Set([`worker by ${founder.peer}`]),
    )
    const at = certified.receipts.findIndex((line) => line.startsWith('{"peer":'))
    expect(await refusal({ ...certified, receipts: certified.receipts.toSpliced(at, 1) })).toBe('E_PROOF_SEAL')
  })
})

describe('a submitter who lies and seals anew', () => {
  it('cannot leave out a receipt that a result rests on', async () => {
    for (const at of whole.receipts.keys()) {
      if (!isReceipt(whole.receipts[at] ?? '')) continue
      const receipts = await resealed(whole, whole.receipts.toSpliced(at, 1))
      expect(await refusal({ ...whole, receipts })).toBe('E_RECEIPT_MISSING')
    }
  })

  it('cannot count a receipt twice, nor take one for units the job does not have', async () => {
    const line = whole.receipts[firstReceipt(whole.receipts)] ?? ''
    expect(await refusal({ ...whole, receipts: await resealed(whole, whole.receipts.toSpliced(-1, 0, line)) })).toBe(
      'E_RECEIPT_TWICE',
    )
    const [worker] = whole.workers
    if (worker === undefined) throw new Error('no worker')
    const { receipt, signature } = await signReceipt(worker, whole.job, [{ unit: 10, ok: true, value: '1' }])
    const beyond = lineOf({ n: 1, receipt: textOf(receipt), signature: textOf(signature) })
    const receipts = await resealed(whole, whole.receipts.toSpliced(-1, 0, beyond))
    expect(await refusal({ ...whole, receipts })).toBe('E_RECEIPT_UNITS')
  })

  it('cannot give a value that nobody signed', async () => {
    const results = edited(whole.results, rowOf(4), (row) => ({ ...row, value: { square: 17 } }))
    expect(await refusal({ ...whole, results })).toBe('E_RESULT_ALTERED')
  })

  it('cannot give one under a seal for it either', async () => {
    const results = edited(whole.results, rowOf(4), (row) => ({ ...row, value: { square: 17 } }))
    const receipts = await resealed(whole, whole.receipts, { units: sealOf(results) })
    expect(await refusal({ receipts, results })).toBe('E_RESULT_ALTERED')
  })

  it('cannot say that a job was done which was not', async () => {
    const receipts = await resealed(whole, whole.receipts, { accepted: 8 })
    expect(await refusal({ ...whole, receipts })).toBe('E_PROOF_SEAL')
  })

  it('cannot make the verifier hold more than the task and its rows may have', async () => {
    const part = textOf(new Uint8Array(LIMITS.BLOB_CHUNK_BYTES))
    const { blob } = JSON.parse(whole.receipts[1] ?? '')
    const of = LIMITS.BLOB_MAX_BYTES / LIMITS.BLOB_CHUNK_BYTES + 2
    const parts = Array.from({ length: of }, (_, i) => lineOf({ blob, part: i + 1, of, bytes: part }))
    expect(await refusal({ ...whole, receipts: [whole.receipts[0] ?? '', ...parts] })).toBe('E_PROOF_TASK')
  })
})

const receipts = (change: (lines: string[], at: number) => string[]) => ({
  ...whole,
  receipts: change(whole.receipts, firstReceipt(whole.receipts)),
})
const results = (change: (row: Record<string, unknown>) => object) => ({
  ...whole,
  results: edited(whole.results, rowOf(4), change),
})
const foreign = (n: number) => lineOf({ ...JSON.parse(other.receipts[firstReceipt(other.receipts)] ?? ''), n })

function altered(line: Record<string, unknown>): object {
  const { manifest } = decodeManifest(Buffer.from(String(line.manifest), 'base64'))
  return { ...line, manifest: textOf(encodeManifest({ ...manifest, name: 'other' })) }
}

const certificate = () =>
  lineOf({ peer: whole.workers[0]?.peer, chain: [{ bytes: textOf(Buffer.from('no')), signature: '' }] })

/** What a seal says of results. */
function sealOf(results: readonly string[]): string {
  const digest = new UnitsDigest()
  const rows = results.map((line) => JSON.parse(line)).sort((a, b) => a.unit - b.unit)
  for (const { params: _, ...row } of rows) {
    digest.add(digestOfUnit(row.status === 'failed' ? row : { ...row, value: digestOf(canonicalJson(row.value)) }))
  }
  return digest.digest()
}
