/** The kinds of tasks: for whom they are run, and what their source tells before anything is sent. */

import { z } from 'zod'
import { decodeContainer, treesOfContainer } from './command/container.ts'
import { decodeProgram, parametersOf, treesOfProgram } from './command/program.ts'
import type { PointInputs } from './data/point-inputs.ts'
import type { TreeRef } from './data/tree.ts'
import { decodeScript, parametersOfScript } from './python/script.ts'
import { decodeModuleTask, parametersOfModule } from './wasm/module-task.ts'
import { decodeWasiProgram, parametersOfWasi } from './wasm/wasi-program.ts'

type KindFacts = {
  /**
   * `sandboxed`: it can do nothing but compute, and is run for anybody. `offered`: neither can it, but it costs memory, and is
   * run for whom the owner offers it. `native`: a program, for whom the owner names.
   */
  trust: 'sandboxed' | 'offered' | 'native'
  /** Whether its tasks may bring an `agree` function. */
  agrees: boolean
  /** Parameters its description names: a sweep that lacks one is refused. @throws E_SOURCE if the source is no task of the kind */
  parametersOf(source: string): string[]
  /** Trees of files all its units find: they are fetched before its first unit. @throws E_SOURCE if the source is no task of the kind */
  treesOf(source: string): TreeRef[]
  /** Files of which each unit finds some; null: none. @throws E_SOURCE if the source is no task of the kind */
  pointInputsOf(source: string): PointInputs | null
  /** Whether its units leave files. @throws E_SOURCE if the source is no task of the kind */
  leavesFiles(source: string): boolean
}

const listed = (inputs: TreeRef | null): TreeRef[] => (inputs === null ? [] : [inputs])

/** Each has its runtime in `node/runtimes/open.ts`. */
export const RUNTIME_KINDS = {
  /** A bundled module. */
  js: {
    trust: 'sandboxed',
    agrees: true,
    parametersOf: () => [],
    treesOf: () => [],
    pointInputsOf: () => null,
    leavesFiles: () => false,
  },
  /** A function of a WebAssembly module: `wasm/module-task.ts`. */
  wasm: {
    trust: 'sandboxed',
    agrees: false,
    parametersOf: (source) => parametersOfModule(decodeModuleTask(source)),
    treesOf: () => [],
    pointInputsOf: () => null,
    leavesFiles: () => false,
  },
  /** A WASI program: `wasm/wasi-program.ts`. */
  wasi: {
    trust: 'sandboxed',
    agrees: false,
    parametersOf: (source) => parametersOfWasi(decodeWasiProgram(source)),
    treesOf: (source) => listed(decodeWasiProgram(source).inputs),
    pointInputsOf: (source) => decodeWasiProgram(source).pointInputs ?? null,
    leavesFiles: (source) => decodeWasiProgram(source).outputs.length > 0,
  },
  /** A Python script: `python/script.ts`. */
  python: {
    trust: 'offered',
    agrees: false,
    parametersOf: (source) => parametersOfScript(decodeScript(source)),
    treesOf: (source) => listed(decodeScript(source).inputs),
    pointInputsOf: (source) => decodeScript(source).pointInputs ?? null,
    leavesFiles: (source) => decodeScript(source).outputs.length > 0,
  },
  /** A program of the machine: `command/program.ts`. */
  command: {
    trust: 'native',
    agrees: false,
    parametersOf: (source) => parametersOf(decodeProgram(source)),
    treesOf: (source) => treesOfProgram(decodeProgram(source)),
    pointInputsOf: (source) => decodeProgram(source).pointInputs ?? null,
    leavesFiles: (source) => decodeProgram(source).outputs.length > 0,
  },
  /** A program in an image: `command/container.ts`. */
  container: {
    trust: 'native',
    agrees: false,
    parametersOf: (source) => parametersOf(decodeContainer(source).program),
    treesOf: (source) => treesOfContainer(decodeContainer(source)),
    pointInputsOf: (source) => decodeContainer(source).program.pointInputs ?? null,
    leavesFiles: (source) => decodeContainer(source).program.outputs.length > 0,
  },
} as const satisfies Record<string, KindFacts>

export type RuntimeKind = keyof typeof RUNTIME_KINDS

export const runtimeKinds = Object.keys(RUNTIME_KINDS) as RuntimeKind[]

export const runtimeKindSchema = z.enum(runtimeKinds)
