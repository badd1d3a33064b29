/**
 * JavaScript tasks in Deno without permissions, inside bubblewrap where the machine allows it.
 *
 * A task's source is the body of a CommonJS module, evaluated in strict mode, anew for every unit. Its default export
 * (`module.exports.default`, or `module.exports` itself) is a function `(params, context) => value`, or an object with
 * such a `run` and perhaps an `agree(a, b) => boolean`; each may return a promise. `context` is
 * `{ unit, seed, random(), log(...) }`. Bundle with esbuild: `format: 'cjs'`, `platform: 'neutral'`, and
 * `supported: { 'exponent-operator': false }`, for V8's `**` differs between CPUs while `Math.pow` is ours.
 * There are no timers, no clock, no host. An error of the task that carries `code` E_INPUT or E_OUTPUT keeps it.
 */

import { PreparedRuntime } from '../prepared-runtime.ts'
import type { Confinement, Runtime } from '../runtime.ts'
import { planLaunch } from './launch.ts'
import { prepare } from './prepare.ts'
import { JsSandbox } from './sandbox.ts'
import { Session } from './session.ts'

export type JsRuntimeInit = {
  /** A private folder, made if need be. What is written there is removed by `stop()`. */
  scratchDir: string
  /** `runtime` does without bubblewrap even where it works. @default 'os' */
  confinement?: Confinement
  /** @default the binary of the deno package */
  denoPath?: string
}

export function createJsRuntime(init: JsRuntimeInit): Runtime {
  return new PreparedRuntime({
    prepare: (signal) => prepare(init, signal),
    openSandbox: ({ prepared, onClosed }, job) => {
      const openSession = async (): Promise<Session> => {
        const { facts, folder } = await prepared()
        return new Session({ ...job, plan: planLaunch(facts, job.memoryMiB), folder })
      }
      return new JsSandbox({ openSession, onClosed }, job)
    },
  })
}
