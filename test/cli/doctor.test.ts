/** `talkoot doctor` on the machine the tests run on: every runtime is tried as a node would, and whose move the rest is. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { MOVES } from '../../node/cli/render/moves.ts'
import { CliHarness } from './harness.ts'

type Findings = {
  ok: boolean
  checks: { name: string; state: 'ok' | 'warning' | 'bad'; text: string; advice: string | null }[]
}

let cli: CliHarness
let temporary: string
beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), 'talkoot-doctor-test-'))
  vi.stubEnv('TMPDIR', temporary)
  cli = new CliHarness()
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await cli.dispose()
  rmSync(temporary, { recursive: true, force: true })
})

test('says of each runtime that it works, or why not and whose move it is', async () => {
  await cli.start()
  const { stdout, stderr, code } = await cli.run(['doctor', '--json'])
  expect(stderr).toContain('takes a while')
  const { ok, checks }: Findings = JSON.parse(stdout)
  expect(checks.map(({ name }) => name).slice(0, 6)).toEqual([
    'State folder',
    'Disk',
    'Sandbox',
    'Python',
    'Programs',
    'Containers',
  ])
  expect(checks.find(({ name }) => name === 'Node')?.text).toContain('swift-otter runs')
  expect([ok, code]).toEqual([checks.every(({ state }) => state !== 'bad'), ok ? 0 : 1])
  for (const { name, state, text, advice } of checks.slice(3, 6)) {
    if (state === 'ok') expect(advice).toBeNull()
    else {
      console.warn(`not run: ${name}: ${text}`)
      expect(text).toMatch(/^E_[A-Z_]+: /)
      expect(Object.values(MOVES).some((move) => advice?.startsWith(`${move}: `))).toBe(true)
    }
  }
  // What it tried them in is gone.
  expect(readdirSync(temporary).filter((name) => name.startsWith('talkoot-doctor-'))).toEqual([])
})
