/**
 * The program inside the sandbox process. It serves one job: the first frame brings the source, every other frame
 * units to run. Nothing but frames leaves, each carrying a token task code never sees.
 */

import type { HarnessKind, InitFrame } from '../frames.ts'
import { readFrame, writeFrame } from './channel.ts'
import { type GivenFile, givenFiles } from './given.ts'
import { denoVersion, ignoreUnhandled, onceStarted } from './host.ts'
import { installMath } from './math.ts'
import { installRandom } from './random.ts'
import { sealRealm } from './realm.ts'
import { Server } from './serve.ts'
import { compileTask, type Task } from './task.ts'
import { compileWasi } from './wasi/wasi.ts'
import { compileWasm } from './wasm.ts'

const COMPILERS: Record<HarnessKind, (source: string, memoryMiB: number, given: readonly GivenFile[]) => () => Task> = {
  js: compileTask,
  wasm: compileWasm,
  wasi: compileWasi,
}

onceStarted(() => {
  const init = readFrame() as InitFrame<HarnessKind>
  ignoreUnhandled()
  installMath()
  installRandom()
  sealRealm()
  writeFrame(`{"token":"${init.token}","deno":"${denoVersion}"}`)
  new Server(init, COMPILERS[init.kind](init.source, init.memoryMiB, givenFiles(init.given).files)).serve()
})
