/** JavaScript tasks in Deno without permissions, inside bubblewrap where the machine allows it. */

import { mkdir, rm } from 'node:fs/promises'
import { TalkootError } from '../../../protocol/errors.ts'
import type { Confinement, Runtime, RuntimeProbe, Sandbox, SandboxInit } from '../runtime.ts'
import { type Discovery, discover } from './discover.ts'
import { type LaunchPlan, planLaunch } from './launch.ts'
import { JsSandbox } from './sandbox.ts'
import { Session } from './session.ts'

export type JsRuntimeInit = {
  /** An existing private folder. What is written there is removed by `stop()`. */
  scratchDir: string
  /** `runtime` does without bubblewrap even where it works. @default 'os' */
  confinement?: Confinement
  /** What a unit logged, at most `LIMITS.UNIT_LOG_MAX_CHARS` characters. */
  onLog?: (unit: number, text: string) => void
  /** For tests: changes the command line of each process. */
  alterPlan?: (plan: LaunchPlan) => LaunchPlan
}

/** The version this release was tested with: another could compute other bits. */
const DENO_VERSION = '2.9.6'

const PROBE: SandboxInit = {
  source: 'module.exports = () => [0.1 + 0.2, Math.pow(1.1, 10), typeof Deno]',
  seed: 1,
  memoryMiB: 64,
  timeoutMs: 10_000,
}
const PROBE_VALUE = '[0.30000000000000004,2.5937424601000023,"undefined"]'

export function createJsRuntime(init: JsRuntimeInit): Runtime {
  return new JsRuntime(init)
}

class JsRuntime implements Runtime {
  readonly #init: JsRuntimeInit
  readonly #sandboxes = new Set<JsSandbox>()
  #discovery: Promise<Discovery> | undefined
  #stopped = false

  constructor(init: JsRuntimeInit) {
    this.#init = init
  }

  async probe(signal: AbortSignal): Promise<RuntimeProbe> {
    const wanted = this.#init.confinement ?? 'os'
    const { facts, warnings } = await this.#discover(wanted)
    if (facts.bwrap !== undefined) {
      try {
        return await this.#probeOnce('os', warnings, signal)
      } catch (error) {
        signal.throwIfAborted()
        facts.bwrap = undefined
        warnings.push(`bubblewrap does not work here: ${TalkootError.from(error).message}`)
      }
    } else if (wanted === 'os') warnings.push('bubblewrap is missing')
    return await this.#probeOnce('runtime', warnings, signal)
  }

  open(init: SandboxInit): Sandbox {
    const sandbox = new JsSandbox({ openSession: (of) => this.#session(of), onLog: this.#init.onLog }, init)
    this.#sandboxes.add(sandbox)
    return sandbox
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all([...this.#sandboxes].map((sandbox) => sandbox.close()))
    this.#sandboxes.clear()
    const discovery = await this.#discovery?.catch(() => undefined)
    if (discovery !== undefined) await rm(discovery.folder, { recursive: true, force: true })
  }

  #discover(confinement: Confinement): Promise<Discovery> {
    this.#discovery ??= mkdir(this.#init.scratchDir, { recursive: true }).then(() =>
      discover(this.#init.scratchDir, confinement),
    )
    return this.#discovery
  }

  async #probeOnce(confinement: Confinement, warnings: string[], signal: AbortSignal): Promise<RuntimeProbe> {
    const session = await this.#session(PROBE)
    try {
      await session.start(signal)
      const exchange = session.exchange([{ unit: 0, params: 'null' }], signal)
      const { done, value } = await exchange.next()
      if (done) throw new TalkootError('E_RUNTIME_MISSING', `the probe failed: ${value?.code} ${value?.message}`)
      const [code, text] = value[0] ?? []
      if (code !== null || text !== PROBE_VALUE)
        throw new TalkootError('E_RUNTIME_VERSION', `the probe gave ${code} ${text}`)
      if (session.denoVersion !== DENO_VERSION)
        throw new TalkootError('E_RUNTIME_VERSION', `deno is ${session.denoVersion}`)
      const uid = session.uid()
      if (uid === 0) throw new TalkootError('E_ROOT', 'the probe unit ran as root')
      return {
        kind: 'js',
        version: DENO_VERSION,
        confinement,
        uid,
        ...(warnings.length > 0 ? { warning: warnings.join('; ') } : {}),
      }
    } finally {
      await session.close()
    }
  }

  async #session({ source, seed, memoryMiB, timeoutMs }: SandboxInit): Promise<Session> {
    const { facts, folder } = await this.#discover(this.#init.confinement ?? 'os')
    if (this.#stopped) throw new TalkootError('E_RUNTIME_MISSING', 'the runtime is stopped')
    const plan = planLaunch(facts, memoryMiB)
    return new Session({ plan: this.#init.alterPlan?.(plan) ?? plan, folder, source, seed, timeoutMs })
  }
}
