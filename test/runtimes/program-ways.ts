/** The ways to run programs, for what holds of each of them. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { createCommandRuntime } from '../../node/runtimes/command/runtime.ts'
import { createContainerRuntime } from '../../node/runtimes/container/runtime.ts'
import type { Runtime, RuntimeInit, Sandbox, SandboxInit } from '../../node/runtimes/runtime.ts'
import { encodeProgram, type Program } from '../../protocol/command/program.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { DEADLINE_MS } from './attempts.ts'
import { inImage, makeImage } from './image.ts'

type Kind = 'command' | 'container'
type Described = Partial<Program> & Pick<Program, 'argv'>

export type Way = {
  kind: Kind
  /** Gone when all is tested. */
  folder: string
  /** A test, unless the programs cannot be run here. */
  runs(name: string, body: () => Promise<void>): void
  open(program: Described, init?: Partial<SandboxInit>): Sandbox
}

export function eachWay(body: (way: Way) => void): void {
  for (const kind of ['command', 'container'] as const) describe(kind, () => describeWay(kind, body))
}

const MAKE: Record<Kind, (init: RuntimeInit) => Runtime> = {
  command: createCommandRuntime,
  container: createContainerRuntime,
}

function describeWay(kind: Kind, body: (way: Way) => void): void {
  let folder: string
  let runtime: Runtime
  let task: (program: Described) => Pick<SandboxInit, 'source' | 'trees'>
  /** Why they cannot be run here. */
  let obstacle: string | null = null
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), `talkoot-${kind}-`))
    runtime = MAKE[kind]({ scratchDir: join(folder, 'scratch') })
    try {
      task = await taskOf(kind, folder)
      await runtime.probe(AbortSignal.timeout(DEADLINE_MS))
    } catch (error) {
      obstacle = TalkootError.from(error).message
    }
  })
  afterAll(async () => {
    await runtime.stop()
    await rm(folder, { recursive: true, force: true })
  })

  body({
    kind,
    get folder() {
      return folder
    },
    runs: (name, of) =>
      test(name, { timeout: 200_000 }, async () => {
        if (obstacle === null) await of()
        else console.warn(`not run: ${kind}: ${name}: ${obstacle}`)
      }),
    open: (program, { trees = new Map(), ...init } = {}) => {
      const { source, trees: own = new Map() } = task(program)
      const limits = { seed: 1, cpus: 1, memoryMiB: 64, timeoutMs: 150_000 }
      return runtime.open({ source, ...limits, trees: new Map([...own, ...trees]), ...init })
    },
  })
}

async function taskOf(kind: Kind, folder: string) {
  if (kind === 'command') {
    return (program: Described) => ({
      source: encodeProgram({ v: 1, env: {}, stdin: null, inputs: null, ...program }),
    })
  }
  const { ref, trees } = await makeImage(folder)
  return (program: Described) => ({ source: inImage(ref, program), trees })
}
