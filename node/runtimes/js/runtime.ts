/**
 * JavaScript tasks in Deno without permissions, inside bubblewrap where the machine allows it.
 *
 * A task's source is the body of a CommonJS module, evaluated in strict mode, anew for every unit. Its default export
 * (`module.exports.default`, or `module.exports` itself) is a function `(params, context) => value`, or an object with
 * such a `run` and perhaps an `agree(a, b) => boolean`; each may return a promise. `context` is
 * `{ unit, seed, random(), log(...), checkpoint(state), resumed }`. Bundle with esbuild: `format: 'cjs'`, `platform: 'neutral'`, and
 * `supported: { 'exponent-operator': false }`, for V8's `**` differs between CPUs while `Math.pow` is ours.
 * There are no timers, no clock, no host. An error of the task that carries `code` E_INPUT or E_OUTPUT keeps it.
 */

import { PreparedRuntime } from '../prepared-runtime.ts'
import type { Runtime } from '../runtime.ts'
import { DenoHost, type DenoHostInit } from './deno-host.ts'
import type { HarnessKind } from './frames.ts'
import { openJsSandbox } from './open-sandbox.ts'
import type { PreparedJs } from './prepare.ts'

export type JsRuntimeInit = DenoHostInit

export const createJsRuntime = (init: JsRuntimeInit, host = new DenoHost(init)): Runtime =>
  createHarnessRuntime('js', host, async ({ probe }) => probe)

/** A runtime of one kind of tasks whose units run in the harness, as `prove` has shown. */
export function createHarnessRuntime(
  kind: HarnessKind,
  host: DenoHost,
  prove: (prepared: PreparedJs, signal: AbortSignal) => Promise<PreparedJs['probe']>,
): Runtime {
  return new PreparedRuntime({
    prepare: async (signal) => {
      const prepared = await host.enter(signal)
      try {
        return { ...prepared, probe: await prove(prepared, signal) }
      } catch (error) {
        await host.leave()
        throw error
      }
    },
    dispose: () => host.leave(),
    openSandbox: (components, job) => openJsSandbox(kind, components, job),
  })
}
