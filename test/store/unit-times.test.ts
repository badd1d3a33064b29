import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Ledger, openLedger } from '../../node/store/ledger.ts'
import { UnitTimes } from '../../node/store/unit-times.ts'
import { LIMITS } from '../../protocol/limits.ts'

let folder: string
let ledger: Ledger

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'talkoot-times-'))
  ledger = openLedger(join(folder, 'ledger.sqlite'))
})

afterEach(() => {
  ledger.close()
  rmSync(folder, { recursive: true, force: true })
})

it('the last job of a task counts, and the tasks that ran longest ago are forgotten beyond the bound', () => {
  const times = new UnitTimes(ledger)
  const keep = (task: string, unitMs: number) => times.keep(task, { job: 'j', unitMs, units: 7 })
  ledger.transaction(() => {
    keep('first', 1)
    keep('second', 2)
    keep('first', 3)
  })
  expect(times.of('first')).toEqual({ job: 'j', unitMs: 3, units: 7 })
  ledger.transaction(() => {
    for (let i = 0; i < LIMITS.UNIT_TIMES_MAX - 1; i++) keep(`task ${i}`, i)
  })
  expect([times.of('second'), times.of('first')?.unitMs]).toEqual([null, 3])
  ledger.transaction(() => keep('one more', 1))
  expect(times.of('first')).toBe(null)
})
