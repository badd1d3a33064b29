/** The js runtime under each confinement this machine can give. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { createJsRuntime } from '../../node/runtimes/js/runtime.ts'
import { describeRuntime } from './compliance.ts'

let scratchDir: string
beforeAll(async () => {
  scratchDir = await mkdtemp(join(tmpdir(), 'talkoot-test-'))
})
afterAll(() => rm(scratchDir, { recursive: true }))

describeRuntime('js in bubblewrap', (onLog) => createJsRuntime({ scratchDir, onLog }))
describeRuntime('js in deno alone', (onLog) => createJsRuntime({ scratchDir, onLog, confinement: 'runtime' }))
