/** The main job, as a newcomer runs it: a right fit, three files, and nothing left behind. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Lab, NodeProcess } from './node-process.ts'

it('fits the outbreak on three nodes and leaves nothing but its files', async () => {
  await using lab = new Lab()
  const home = join(lab.folder, 'home')
  const temporary = join(lab.folder, 'temporary')
  const out = join(lab.folder, 'out')
  for (const folder of [home, temporary]) mkdirSync(folder)
  const env = { HOME: home, TMPDIR: temporary }
  const { code, stdout, stderr } = await new NodeProcess(join(home, 'node'), { up: [], env }).run(
    ['demo', '--json', '--out', out],
    { timeoutMs: 220_000 },
  )
  expect(code, stderr).toBe(0)

  const report = JSON.parse(stdout)
  expect(report).toMatchObject({ schema: 'talkoot.demo/1', nodes: 3, failed: 0, disagreements: 0 })
  expect(report.units).toBeGreaterThanOrEqual(10_000)
  expect(report.accepted).toBe(report.units)
  expect(report.executions).toBeGreaterThanOrEqual(2 * report.units)
  // The least error by a descent in another language, with steps of 1/200 day: 1.6998, 0.4469, 3.804, 3874.4.
  expect(report.best.beta).toBeCloseTo(1.7, 2)
  expect(report.best.gamma).toBeCloseTo(0.447, 2)
  expect(report.best.r0).toBeCloseTo(3.8, 1)
  expect(report.best.sse).toBeLessThan(3_900)

  const csv = readFileSync(report.files.csv, 'utf8').trim().split('\n')
  const jsonl = readFileSync(report.files.jsonl, 'utf8').trim().split('\n')
  expect(csv).toHaveLength(report.units + 1)
  expect(jsonl).toHaveLength(report.units)
  expect(readFileSync(report.files.svg, 'utf8')).toMatch(/^<svg [\s\S]*<\/svg>\s*$/)

  expect(readdirSync(temporary)).toEqual([])
  expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toContain(temporary)
})
