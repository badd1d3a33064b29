/** A runtime to test, in a folder of its own: made before the tests and gone after them. Where it cannot run, the reason is printed. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, test } from 'vitest'
import type { Runtime } from '../../node/runtimes/runtime.ts'
import { TalkootError } from '../../protocol/errors.ts'

export type Subject = {
  /** Both from the first test on. */
  readonly folder: string
  readonly runtime: Runtime
  /** A test, where the runtime can run. */
  runs(name: string, body: () => Promise<void>): void
}

/** `prove` throws why it cannot run here as it is to be tested. */
export function subjectOf(
  name: string,
  make: (scratchDir: string) => Runtime,
  prove: (subject: Subject) => Promise<void>,
): Subject {
  let folder: string
  let runtime: Runtime
  let canRun = false
  const subject: Subject = {
    get folder() {
      return folder
    },
    get runtime() {
      return runtime
    },
    runs: (of, body) =>
      test(of, async () => {
        if (canRun) await body()
      }),
  }
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'talkoot-subject-'))
    runtime = make(join(folder, 'scratch'))
    try {
      await prove(subject)
      canRun = true
    } catch (error) {
      console.warn(`not run: ${name}: ${TalkootError.from(error).message}`)
    }
  })
  afterAll(async () => {
    await runtime.stop()
    await rm(folder, { recursive: true, force: true })
  })
  return subject
}
