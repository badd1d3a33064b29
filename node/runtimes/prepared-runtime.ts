/** The life of a runtime, whatever it runs: prepared once, its sandboxes ended with it, its folder removed. */

import { TalkootError } from '../../protocol/errors.ts'
import type { Runtime, RuntimeProbe, Sandbox, SandboxInit } from './runtime.ts'
import { removeFolder } from './scratch.ts'

/** What a runtime finds out and lays down before its first unit. */
export type Prepared = {
  probe: RuntimeProbe
  /** Removed when the runtime stops, unless it disposes of what it prepared itself. */
  folder: string
}

export type SandboxComponents<P extends Prepared> = {
  /** Prepares the runtime unless it is prepared. @throws as `Runtime.probe` */
  prepared(): Promise<P>
  onClosed(sandbox: Sandbox): void
}

type PreparedRuntimeInit<P extends Prepared> = {
  /** Called once. Leaves nothing behind if it fails; the signal is that the runtime stops. */
  prepare(signal: AbortSignal): Promise<P>
  openSandbox(components: SandboxComponents<P>, init: SandboxInit): Sandbox
  /** Takes back what was prepared. @default removes its folder */
  dispose?(prepared: P): Promise<void>
}

export class PreparedRuntime<P extends Prepared> implements Runtime {
  readonly #init: PreparedRuntimeInit<P>
  readonly #sandboxes = new Set<Sandbox>()
  readonly #stopping = new AbortController()
  #prepared: Promise<P> | undefined
  #stopped: Promise<void> | undefined

  constructor(init: PreparedRuntimeInit<P>) {
    this.#init = init
  }

  async probe(signal: AbortSignal): Promise<RuntimeProbe> {
    return (await untilAborted(() => this.#prepare(), signal)).probe
  }

  open(init: SandboxInit): Sandbox {
    const prepared = (): Promise<P> => this.#prepare()
    const onClosed = (closed: Sandbox): void => void this.#sandboxes.delete(closed)
    const sandbox = this.#init.openSandbox({ prepared, onClosed }, init)
    this.#sandboxes.add(sandbox)
    return sandbox
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#stopping.abort(new TalkootError('E_RUNTIME_MISSING', 'the runtime is stopped'))
    await Promise.all([...this.#sandboxes].map((sandbox) => sandbox.close()))
    const prepared = await this.#prepared?.catch(() => undefined)
    if (prepared === undefined) return
    const { dispose = ({ folder }: P) => removeFolder(folder) } = this.#init
    await dispose(prepared)
  }

  async #prepare(): Promise<P> {
    this.#stopping.signal.throwIfAborted()
    this.#prepared ??= this.#init.prepare(this.#stopping.signal)
    return await this.#prepared
  }
}

/** Work that others may wait for as well: aborting ends the wait, not the work, and begins none. */
export async function untilAborted<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort)
  try {
    return await Promise.race([work(), aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
