/** Python sources for tests, and one snapshot for all runtimes of a test file. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { encodeScript, type Script } from '../../protocol/python/script.ts'

/** The source of a task. */
export const script = (text: string, more: Partial<Script> = {}): string =>
  encodeScript({ v: 1, file: 'script.py', base64: Buffer.from(text).toString('base64'), ...more })

/** A folder that is removed when the tests of the file have ended. */
export function keptSnapshot(): string {
  const folder = mkdtempSync(join(tmpdir(), 'talkoot-test-python-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
