/** Logs in the ledger: the last of each unit, so much of each job, failures longest. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Ledger, openLedger } from '../../node/store/ledger.ts'
import { PeerNumbers } from '../../node/store/peer-numbers.ts'
import { ReportStore } from '../../node/store/report-store.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { KeptReport } from '../../protocol/report.ts'

let folder: string
let ledger: Ledger
let reports: ReportStore

const open = (): void => {
  ledger = openLedger(join(folder, 'ledger.sqlite'))
  reports = new ReportStore({ ledger, peers: new PeerNumbers(ledger) })
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'talkoot-reports-'))
  open()
})

afterEach(() => {
  ledger.close()
  rmSync(folder, { recursive: true, force: true })
})

const report = (unit: number, facts: Partial<KeptReport> = {}): KeptReport => ({
  unit,
  exit: { code: 0, signal: null },
  stdout: 'said',
  stderr: '',
  wallMs: 12,
  cpuMs: null,
  peakMiB: null,
  runtime: 'command 1',
  system: 'Linux',
  code: null,
  ...facts,
})

const bytesOf = (job: number): number =>
  Number(ledger.db.prepare('SELECT TOTAL(bytes) AS bytes FROM reports WHERE job = ?').get(job)?.bytes)

it('gives back what was told, after reopening too, the newest attempts of a unit', () => {
  ledger.transaction(() => {
    for (let i = 0; i <= LIMITS.UNIT_REPORTS_MAX; i++) reports.keep(1, `peer ${i}`, report(7, { wallMs: i }))
    reports.keep(1, 'peer 0', report(8, { code: 'E_EXIT', exit: { code: 3, signal: null } }))
    reports.keep(2, 'peer 0', report(7))
  })
  ledger.close()
  open()
  const kept = reports.of(1, 7)
  expect(kept.map(({ report: { wallMs } }) => wallMs)).toEqual(
    Array.from({ length: LIMITS.UNIT_REPORTS_MAX }, (_, i) => i + 1),
  )
  expect(reports.of(1, 8)).toEqual([
    { peer: 'peer 0', report: report(8, { code: 'E_EXIT', exit: { code: 3, signal: null } }) },
  ])
  expect(reports.of(1, 9)).toEqual([])
})

it('of a job it keeps so many bytes: the oldest that tell of no failure go first', () => {
  const long = 'x'.repeat(512 * 1_024)
  const most = Math.ceil(LIMITS.JOB_REPORTS_MAX_BYTES / long.length)
  ledger.transaction(() => {
    reports.keep(1, 'alice', report(0, { code: 'E_EXIT' }))
    reports.keep(1, 'alice', report(1))
    reports.keep(2, 'alice', report(0))
    for (let i = 0; i < most; i++) reports.keep(1, 'alice', report(2 + i, { stdout: long }))
  })
  expect(bytesOf(1)).toBeLessThanOrEqual(LIMITS.JOB_REPORTS_MAX_BYTES)
  expect([0, 1, 1 + most].map((unit) => reports.of(1, unit).length)).toEqual([1, 0, 1])
  expect(reports.of(2, 0)).toHaveLength(1)
  // Failures alone are bounded as well, and what was there before is counted by whoever opens the ledger anew.
  ledger.close()
  open()
  ledger.transaction(() => {
    for (let i = 0; i < most; i++) reports.keep(1, 'alice', report(i, { stdout: long, code: 'E_EXIT' }))
  })
  expect(bytesOf(1)).toBeLessThanOrEqual(LIMITS.JOB_REPORTS_MAX_BYTES)
  expect(reports.of(1, most - 1)).toHaveLength(1)
})

it('what was rolled back counts for nothing', () => {
  const fill = () => {
    for (let i = 0; i < 100; i++) reports.keep(1, 'alice', report(i, { stdout: 'x'.repeat(400 * 1_024) }))
  }
  expect(() =>
    ledger.transaction(() => {
      fill()
      throw new Error('no room')
    }),
  ).toThrow('no room')
  ledger.transaction(fill)
  expect(reports.of(1, 0)).toHaveLength(1)
})
