/** Long jobs in little memory: results on their way from the ledger to a scientist, and what a node holds of a running sweep. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ApiServer } from '../../node/api/server.ts'
import { Changes } from '../../node/jobs/changes.ts'
import { LiveJob } from '../../node/jobs/live-job.ts'
import { ResultReader } from '../../node/jobs/result-reader.ts'
import { JobStore } from '../../node/store/job-store.ts'
import { openLedger } from '../../node/store/ledger.ts'
import { PeerNumbers } from '../../node/store/peer-numbers.ts'
import { API } from '../../protocol/api.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { manifestSchema, policySchema } from '../../protocol/manifest.ts'
import { compileSweep } from '../../protocol/sweep/generator.ts'
import { Mesh } from '../../sdk/index.ts'
import { FakeServices, JOB_ID } from '../api/fake-services.ts'
import { liveHeap } from '../sim/heap.ts'

const MiB = 2 ** 20
const RESULTS = 500_000
const rangeTo = (units: number) =>
  compileSweep({ kind: 'product', axes: [['n', { kind: 'range', from: 0, to: units, step: 1 }]] })

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'talkoot-scale-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function fillLedger(units = RESULTS, labelOf = (unit: number) => `point ${unit}`) {
  const ledger = openLedger(join(folder, 'ledger.sqlite'))
  const jobs = new JobStore({ ledger, peers: new PeerNumbers(ledger) })
  const facts = { id: JOB_ID, units, manifest: new Uint8Array(1), signature: new Uint8Array(1), createdMs: 0 }
  const { n } = jobs.add(facts)
  const voices = [{ peer: '12D3KooWself', digest: 'd'.repeat(43), code: null }]
  for (let unit = 0; unit < units; ) {
    ledger.transaction(() => {
      for (const end = Math.min(units, unit + 10_000); unit < end; unit++) {
        const value = JSON.stringify({ square: unit * unit, label: labelOf(unit) })
        const facts = { ok: true, code: null, blame: null, attempts: 1, disagreed: false, error: null, revision: 0 }
        jobs.results.keep(n, { unit, seq: unit + 1, value, voices, ...facts })
      }
    })
  }
  jobs.end(n, 'done', 1)
  return { ledger, jobs }
}

test('half a million results reach a scientist by way of ledger, API and SDK while the heap stays flat', async () => {
  const { ledger, jobs } = fillLedger()
  const sweep = rangeTo(RESULTS)
  const reader = new ResultReader({ jobs, changes: new Changes(), sweepOf: () => sweep, mayChange: () => false })
  const row = jobs.row(JOB_ID)
  if (row === null) throw new Error('the job just kept is not there')
  const services = new FakeServices()
  Object.assign(services.info, { units: RESULTS, accepted: RESULTS, failed: 0 })
  services.results = (_, query, signal) => reader.read(row, query, signal)
  const addressFile = join(folder, 'api.json')
  const server = new ApiServer({ services, log: pino({ level: 'silent' }) }, { port: 0, addressFile })
  try {
    const { url, token } = await server.start()
    const mesh = await Mesh.connect({ url, token })
    const job = await mesh.attach(JOB_ID)
    const heap = liveHeap()
    const before = heap()
    const rssBefore = process.memoryUsage().rss
    let [count, sum, mostHeap] = [0, 0, 0]
    for await (const { params } of job.results({ order: 'input' })) {
      sum += Number(params.n) - count
      count += 1
      if (count % 50_000 === 0) mostHeap = Math.max(mostHeap, heap() - before)
    }
    const rssGrowth = process.memoryUsage().rss - rssBefore
    console.info(`heap +${(mostHeap / MiB).toFixed(1)} MiB at most, rss +${(rssGrowth / MiB).toFixed(0)} MiB`)
    expect({ count, sum }).toEqual({ count: RESULTS, sum: 0 })
    expect(mostHeap).toBeLessThan(24 * MiB)
    expect(rssGrowth).toBeLessThan(256 * MiB)
  } finally {
    await server.stop()
    ledger.close()
  }
})

test('a reader that stops is waited for: nothing is read ahead of it but a page and what is on its way', async () => {
  const { ledger, jobs } = fillLedger()
  const sweep = rangeTo(RESULTS)
  const reader = new ResultReader({ jobs, changes: new Changes(), sweepOf: () => sweep, mayChange: () => false })
  const row = jobs.row(JOB_ID)
  if (row === null) throw new Error('the job just kept is not there')
  let read = 0
  const services = new FakeServices()
  services.results = async function* (_, query, signal) {
    for await (const page of reader.read(row, query, signal)) {
      read += page.length
      yield page
    }
  }
  const server = new ApiServer(
    { services, log: pino({ level: 'silent' }) },
    { port: 0, addressFile: join(folder, 'api.json') },
  )
  try {
    const { url, token } = await server.start()
    const headers = { authorization: `Bearer ${token}` }
    const response = await fetch(new URL(API.jobResults(JOB_ID), url), { headers })
    const body = response.body?.getReader()
    await body?.read()
    let last = -1
    await expect
      .poll(
        () => {
          const still = read === last
          last = read
          return still
        },
        { interval: 250, timeout: 120_000 },
      )
      .toBe(true)
    expect(read).toBeLessThan(RESULTS / 10)
    await body?.cancel()
  } finally {
    await server.stop()
    ledger.close()
  }
})

test('no more rows are read in one turn than a page has', async () => {
  const units = 2 * LIMITS.API_PAGE_ROWS + 1
  const { ledger, jobs } = fillLedger(units)
  const sweep = rangeTo(units)
  const reader = new ResultReader({ jobs, changes: new Changes(), sweepOf: () => sweep, mayChange: () => false })
  const row = jobs.row(JOB_ID)
  if (row === null) throw new Error('the job just kept is not there')
  const sizes: number[] = []
  const query = { follow: false, failed: false, order: 'completion' } as const
  for await (const page of reader.read(row, query, new AbortController().signal)) sizes.push(page.length)
  ledger.close()
  expect(sizes).toEqual([LIMITS.API_PAGE_ROWS, LIMITS.API_PAGE_ROWS, 1])
})

const LARGE = 'x'.repeat(LIMITS.PARAMS_MAX_BYTES / 2)

test.each([
  ['values', 'completion', () => LARGE, rangeTo(40)],
  ['values', 'input', () => LARGE, rangeTo(40)],
  [
    'points',
    'completion',
    String,
    compileSweep({ kind: 'product', axes: [['n', { kind: 'list', values: Array(40).fill(LARGE) }]] }),
  ],
] as const)('large %s are read a few at a time, in order of %s', async (_, order, labelOf, sweep) => {
  const { ledger, jobs } = fillLedger(40, labelOf)
  const reader = new ResultReader({ jobs, changes: new Changes(), sweepOf: () => sweep, mayChange: () => false })
  const row = jobs.row(JOB_ID)
  if (row === null) throw new Error('the job just kept is not there')
  const pages: number[][] = []
  const query = { follow: false, failed: false, order }
  for await (const page of reader.read(row, query, new AbortController().signal)) {
    pages.push(page.map(({ unit }) => unit))
  }
  ledger.close()
  expect(pages.flat()).toEqual(Array.from({ length: 40 }, (_, unit) => unit))
  expect(Math.max(...pages.map((page) => page.length))).toBeLessThanOrEqual(LIMITS.API_CHUNK_CHARS / LARGE.length)
})

test('a sweep of 3,000,000 points is a bit a point in memory', () => {
  const units = 3_000_000
  const heap = liveHeap()
  const held = () => heap() + process.memoryUsage().arrayBuffers
  const before = held()
  const sweep = rangeTo(units)
  const task = { runtime: 'js', digest: JOB_ID, bytes: 1 }
  const manifest = manifestSchema.partial().parse({ policy: policySchema.parse({}), task })
  const stored = { id: JOB_ID, totals: { failed: 0 } }
  const live = new LiveJob(stored as LiveJob['stored'], manifest as LiveJob['manifest'], sweep)
  for (let unit = 0; unit < units; unit += 2) live.settle(unit)
  expect(live.inputs([units - 1])).toEqual([[units - 1, `{"n":${units - 1}}`]])
  const spec = live.spec({ ageMs: 0, gate: null, catches: [] })
  expect([spec.settledCount, spec.isSettled(units - 2), spec.isSettled(units - 1)]).toEqual([units / 2, true, false])
  expect(held() - before).toBeLessThan(units / 8 + MiB)
})
