/** Python sources for tests, and one snapshot for all runtimes of a test file. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { encodeScript } from '../../protocol/python/script.ts'

export type Files = Record<string, string | Uint8Array>

/** The source of a task. */
export function script(text: string, more: Files = {}): string {
  const files = Object.entries({ 'script.py': text, ...more }).map(([path, content]) => ({
    path,
    base64: Buffer.from(content).toString('base64'),
  }))
  return encodeScript({ v: 1, file: 'script.py', files })
}

/** A folder that is removed when the tests of the file have ended. */
export function keptSnapshot(): string {
  const folder = mkdtempSync(join(tmpdir(), 'talkoot-test-python-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
