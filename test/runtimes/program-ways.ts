/** The ways to run programs, for what holds of each of them. */

import { describe } from 'vitest'
import { createCommandRuntime } from '../../node/runtimes/command/runtime.ts'
import { createContainerRuntime } from '../../node/runtimes/container/runtime.ts'
import type { Runtime, RuntimeInit, Sandbox, SandboxInit } from '../../node/runtimes/runtime.ts'
import { encodeProgram, type Program } from '../../protocol/command/program.ts'
import { DEADLINE_MS } from './attempts.ts'
import { inImage, makeImage } from './image.ts'
import { type Subject, subjectOf } from './subject.ts'

type Kind = 'command' | 'container'
type Described = Partial<Program> & Pick<Program, 'argv'>

export type Way = Omit<Subject, 'runtime'> & {
  kind: Kind
  open(program: Described, init?: Partial<SandboxInit>): Sandbox
}

export function eachWay(body: (way: Way) => void): void {
  for (const kind of ['command', 'container'] as const) describe(kind, () => body(wayOf(kind)))
}

const MAKE: Record<Kind, (init: RuntimeInit) => Runtime> = {
  command: createCommandRuntime,
  container: createContainerRuntime,
}

function wayOf(kind: Kind): Way {
  let task: (program: Described) => Pick<SandboxInit, 'source' | 'trees'>
  const subject = subjectOf(
    kind,
    (scratchDir) => MAKE[kind]({ scratchDir }),
    async ({ folder, runtime }) => {
      task = await taskOf(kind, folder)
      await runtime.probe(AbortSignal.timeout(DEADLINE_MS))
    },
  )
  return {
    kind,
    runs: subject.runs,
    get folder() {
      return subject.folder
    },
    open: (program, { trees = new Map(), ...init } = {}) => {
      const { source, trees: own = new Map() } = task(program)
      const limits = { seed: 1, cpus: 1, memoryMiB: 64, timeoutMs: 150_000 }
      return subject.runtime.open({ source, ...limits, trees: new Map([...own, ...trees]), ...init })
    },
  }
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
