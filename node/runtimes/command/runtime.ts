/**
 * Programs of the machine, one process a unit, in bubblewrap: a read-only system, no network, no other user's files, a
 * bounded folder that is gone with the unit. Linux only.
 *
 * A task's source is a `Program` as JSON. A unit's value is `{ stdout }`, without its last
 * line end, once the program has ended with 0; its stderr is
 * its log, and its last part the message of a failure.
 */

import { rm } from 'node:fs/promises'
import { TalkootError } from '../../../protocol/errors.ts'
import type { Runtime, RuntimeProbe, Sandbox, SandboxInit } from '../runtime.ts'
import { type PreparedCommand, prepareCommand } from './prepare.ts'
import { CommandSandbox } from './sandbox.ts'

export type CommandRuntimeInit = {
  /** A private folder, made if need be. What is written there is removed by `stop()`. */
  scratchDir: string
}

export class CommandRuntime implements Runtime {
  readonly #init: CommandRuntimeInit
  readonly #sandboxes = new Set<CommandSandbox>()
  readonly #stopping = new AbortController()
  #prepared: Promise<PreparedCommand> | undefined

  constructor(init: CommandRuntimeInit) {
    this.#init = init
  }

  async probe(signal: AbortSignal): Promise<RuntimeProbe> {
    signal.throwIfAborted()
    return (await this.#prepare()).probe
  }

  open(init: SandboxInit): Sandbox {
    const onClosed = (closed: CommandSandbox): void => void this.#sandboxes.delete(closed)
    const sandbox = new CommandSandbox({ prepared: () => this.#prepare(), onClosed }, init)
    this.#sandboxes.add(sandbox)
    return sandbox
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new TalkootError('E_RUNTIME_MISSING', 'the runtime is stopped'))
    await Promise.all([...this.#sandboxes].map((sandbox) => sandbox.close()))
    const prepared = await this.#prepared?.catch(() => undefined)
    if (prepared !== undefined) await rm(prepared.folder, { recursive: true, force: true })
  }

  async #prepare(): Promise<PreparedCommand> {
    this.#stopping.signal.throwIfAborted()
    this.#prepared ??= prepareCommand(this.#init.scratchDir, this.#stopping.signal)
    return await this.#prepared
  }
}
