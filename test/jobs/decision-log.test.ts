/** Group commit, on a real ledger: in company, on disk before anybody is told, and never lost. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { DecisionLog } from '../../node/jobs/decision-log.ts'
import { EvidenceStore } from '../../node/store/evidence.ts'
import { JobStore } from '../../node/store/job-store.ts'
import { openLedger } from '../../node/store/ledger.ts'
import { PeerNumbers } from '../../node/store/peer-numbers.ts'
import type { StoredResult } from '../../node/store/result-store.ts'
import { LIMITS } from '../../protocol/limits.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'talkoot-log-'))
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(folder, { recursive: true, force: true })
})

function open() {
  const ledger = openLedger(join(folder, 'ledger.sqlite'))
  const peers = new PeerNumbers(ledger)
  const jobs = new JobStore({ ledger, peers })
  const evidence = new EvidenceStore({ ledger, peers })
  const { n } =
    jobs.get('j') ??
    jobs.add({ id: 'j', units: 9_999, manifest: new Uint8Array(), signature: new Uint8Array(), createdMs: 0 })
  const told: number[] = []
  const halts: (string | null)[] = []
  // Asked before and after each commit.
  const disk = { now: 0, commitMs: 0 }
  const log = new DecisionLog({
    ledger,
    jobs,
    evidence,
    now: () => {
      disk.now += disk.commitMs
      return disk.now
    },
    wallClock: () => 0,
    onCommitted: () => told.push(jobs.results.page(n, 'seq', 0, 10_000).length),
    onHalted: (error) => halts.push(error?.code ?? null),
  })
  const pages = () => Number(ledger.db.prepare('PRAGMA page_count').get()?.page_count)
  return {
    ledger,
    peers,
    jobs,
    evidence,
    log,
    n,
    told,
    halts,
    disk,
    decide: (unit: number, peer = 'alice') => log.add({ kind: 'result', job: n, result: accepted(unit, peer) }),
    fillDisk: () => ledger.db.exec(`PRAGMA max_page_count = ${pages()}`),
    freeDisk: () => ledger.db.exec('PRAGMA max_page_count = 1000000'),
  }
}

const accepted = (unit: number, peer: string): StoredResult => ({
  error: null,
  revision: 0,
  unit,
  seq: unit + 1,
  ok: true,
  value: JSON.stringify('x'.repeat(500)),
  code: null,
  blame: null,
  voices: [{ peer, digest: 'd', code: null }],
  attempts: 1,
  disagreed: false,
})

it('decisions wait for company, and are on disk when they are told', () => {
  const { decide, told, jobs, n, log, ledger } = open()
  decide(0)
  decide(1)
  expect(jobs.results.page(n, 'seq', 0, 10)).toEqual([])
  vi.advanceTimersByTime(LIMITS.LEDGER_DELAY_MS)
  expect(told).toEqual([2])
  expect(jobs.row('j')?.totals.accepted).toBe(2)
  log.stop()
  expect(vi.getTimerCount()).toBe(0)
  ledger.close()
})

it('on a slow disk decisions wait longer, so that writing takes a fifth of the time, but only so long', () => {
  const { decide, told, ledger, disk } = open()
  const waitedBefore = (unit: number): number => {
    const commits = told.length
    decide(unit)
    let waited = 0
    for (; told.length === commits && waited < 1_000; waited++) vi.advanceTimersByTime(1)
    return waited
  }
  expect(waitedBefore(0)).toBe(LIMITS.LEDGER_DELAY_MS)
  disk.commitMs = 20
  waitedBefore(1)
  expect(waitedBefore(2)).toBe(80)
  disk.commitMs = 5_000
  waitedBefore(3)
  expect(waitedBefore(4)).toBe(LIMITS.LEDGER_DELAY_MAX_MS)
  disk.commitMs = 0
  waitedBefore(5)
  expect(waitedBefore(6)).toBe(LIMITS.LEDGER_DELAY_MS)
  ledger.close()
})

it('a lone speaker has the credit for a value, of several those whom evidence says agreed', () => {
  const { decide, log, jobs, n, ledger } = open()
  for (const unit of [0, 1, 2]) decide(unit)
  decide(3, 'bob')
  const voices = ['alice', 'bob'].map((peer) => ({ peer, digest: 'd', code: null }))
  log.add({ kind: 'result', job: n, result: { ...accepted(4, 'alice'), voices } })
  log.add({ kind: 'evidence', job: n, peer: 'bob', about: 'agreed', count: 1 })
  log.commit()
  expect(jobs.creditOf(n)).toEqual([
    { peer: 'alice', accepted: 3 },
    { peer: 'bob', accepted: 2 },
  ])
  ledger.close()
})

it('a full batch does not wait', () => {
  const { decide, told, ledger } = open()
  for (let unit = 0; unit < LIMITS.LEDGER_BATCH_ROWS; unit++) decide(unit)
  expect(told).toEqual([LIMITS.LEDGER_BATCH_ROWS])
  expect(vi.getTimerCount()).toBe(0)
  ledger.close()
})

it('a disk that is full halts, is told once, and heals with nothing lost or counted twice', () => {
  const { decide, told, halts, jobs, evidence, log, n, fillDisk, freeDisk, ledger } = open()
  fillDisk()
  for (let unit = 0; unit < 500; unit++) decide(unit)
  log.add({ kind: 'executions', job: n, executions: 500, wasted: 3 })
  log.add({ kind: 'evidence', job: n, peer: 'alice', about: 'agreed', count: 500 })
  vi.advanceTimersByTime(LIMITS.LEDGER_DELAY_MS)
  vi.advanceTimersByTime(3 * LIMITS.LEDGER_RETRY_MS)
  decide(500)
  expect(halts).toEqual(['E_DISK_FULL'])
  expect(told).toEqual([])
  expect(jobs.results.page(n, 'seq', 0, 10_000)).toEqual([])
  freeDisk()
  vi.advanceTimersByTime(LIMITS.LEDGER_RETRY_MS)
  expect(halts).toEqual(['E_DISK_FULL', null])
  expect(told).toEqual([501])
  expect(jobs.row('j')?.totals).toMatchObject({ accepted: 501, executions: 500, wasted: 3 })
  expect(evidence.standing('alice').agreed).toBe(500)
  expect(vi.getTimerCount()).toBe(0)
  ledger.close()
})

it('a peer first met in a transaction that failed has a number after a restart', () => {
  const first = open()
  first.fillDisk()
  for (let unit = 0; unit < 500; unit++) first.decide(unit, 'new-peer')
  vi.advanceTimersByTime(LIMITS.LEDGER_DELAY_MS)
  expect(first.halts).toEqual(['E_DISK_FULL'])
  first.freeDisk()
  // Whoever comes first now gets the number that was rolled back.
  first.evidence.add('someone-else', 'faulty', 1)
  vi.advanceTimersByTime(LIMITS.LEDGER_RETRY_MS)
  first.ledger.close()
  const { jobs, n, evidence, ledger } = open()
  expect(jobs.results.page(n, 'seq', 0, 1)[0]?.voices).toEqual([{ peer: 'new-peer', digest: 'd', code: null }])
  expect(jobs.creditOf(n)).toEqual([{ peer: 'new-peer', accepted: 500 }])
  expect(evidence.standing('someone-else')).toMatchObject({ agreed: 0, faulty: 1 })
  ledger.close()
})

it('the first decision of a unit and the first end of a job stand, in the totals too', () => {
  const { decide, jobs, log, n, ledger } = open()
  decide(1)
  decide(1, 'bob')
  log.add({ kind: 'end', job: n, state: 'done', atMs: 1 })
  log.add({ kind: 'end', job: n, state: 'cancelled', atMs: 2 })
  log.stop()
  expect(jobs.row('j')).toMatchObject({ state: 'done', endedMs: 1, totals: { accepted: 1 } })
  expect(jobs.creditOf(n)).toEqual([{ peer: 'alice', accepted: 1 }])
  ledger.close()
})

it('asking about a peer nobody met writes nothing', () => {
  const { evidence, peers, ledger } = open()
  expect(evidence.standing('stranger')).toEqual({ agreed: 0, outvoted: 0, lapsed: 0, faulty: 0 })
  expect(peers.find('stranger')).toBeNull()
  ledger.close()
})
