/** Python sources for tests, one snapshot for all runtimes of a test file, and a runtime that is ready for its tests. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { createPythonRuntime } from '../../node/runtimes/python/runtime.ts'
import type { Runtime } from '../../node/runtimes/runtime.ts'
import { encodeScript, type Script } from '../../protocol/python/script.ts'

/** For the slowest: Python is compiled and run once before the first unit. */
export const PYTHON_DEADLINE_MS = 240_000

/** The source of a task. */
export const script = (text: string, more: Partial<Script> = {}): string =>
  encodeScript({ v: 1, file: 'script.py', base64: Buffer.from(text).toString('base64'), ...more })

/** A folder that is removed when the tests of the file have ended. */
export function keptSnapshot(): string {
  const folder = mkdtempSync(join(tmpdir(), 'talkoot-test-python-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Probed before the first test of the file, stopped after the last. `scratchDir` goes with it. */
export function startedPython(): { runtime: Runtime; scratchDir: string } {
  const keptIn = keptSnapshot()
  const scratchDir = mkdtempSync(join(tmpdir(), 'talkoot-test-'))
  const runtime = createPythonRuntime({ scratchDir, keptIn })
  beforeAll(async () => {
    await runtime.probe(AbortSignal.timeout(PYTHON_DEADLINE_MS))
  }, PYTHON_DEADLINE_MS)
  afterAll(async () => {
    await runtime.stop()
    rmSync(scratchDir, { recursive: true, force: true })
  })
  return { runtime, scratchDir }
}
