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

import { rm } from 'node:fs/promises'
import { TalkootError } from '../../../protocol/errors.ts'
import type { Confinement, Runtime, RuntimeProbe, Sandbox, SandboxInit } from '../runtime.ts'
import { planLaunch } from './launch.ts'
import { type Prepared, prepare } from './prepare.ts'
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
  return new JsRuntime(init)
}

class JsRuntime implements Runtime {
  readonly #init: JsRuntimeInit
  readonly #sandboxes = new Set<JsSandbox>()
  readonly #stopping = new AbortController()
  #prepared: Promise<Prepared> | undefined

  constructor(init: JsRuntimeInit) {
    this.#init = init
  }

  async probe(signal: AbortSignal): Promise<RuntimeProbe> {
    return (await untilAborted(this.#prepare(), signal)).probe
  }

  open(init: SandboxInit): Sandbox {
    const openSession = async (): Promise<Session> => {
      const { facts, folder } = await this.#prepare()
      return new Session({ ...init, plan: planLaunch(facts, init.memoryMiB), folder })
    }
    const onClosed = (closed: JsSandbox): void => void this.#sandboxes.delete(closed)
    const sandbox = new JsSandbox({ openSession, onClosed }, init)
    this.#sandboxes.add(sandbox)
    return sandbox
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new TalkootError('E_RUNTIME_MISSING', 'the runtime is stopped'))
    await Promise.all([...this.#sandboxes].map((sandbox) => sandbox.close()))
    const prepared = await this.#prepared?.catch(() => undefined)
    if (prepared !== undefined) await rm(prepared.folder, { recursive: true, force: true })
  }

  async #prepare(): Promise<Prepared> {
    this.#stopping.signal.throwIfAborted()
    this.#prepared ??= prepare(this.#init, this.#stopping.signal)
    return await this.#prepared
  }
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort)
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
