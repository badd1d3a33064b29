/** The runtimes of this machine, by kind. */

import { TalkootError } from '../../protocol/errors.ts'
import type { RuntimeKind } from '../../protocol/runtime-kinds.ts'
import type { Runtime, Sandbox, SandboxInit } from './runtime.ts'

type RuntimesByKind = Readonly<Partial<Record<RuntimeKind, Runtime>>>

export class Runtimes {
  readonly #byKind: RuntimesByKind

  constructor(byKind: RuntimesByKind) {
    this.#byKind = byKind
  }

  /** @throws E_RUNTIME_MISSING */
  of(kind: RuntimeKind): Runtime {
    const runtime = this.#byKind[kind]
    if (runtime === undefined)
      throw new TalkootError('E_RUNTIME_MISSING', `this machine has no runtime for ${kind} units`)
    return runtime
  }

  open(kind: RuntimeKind, init: SandboxInit): Sandbox {
    return this.of(kind).open(init)
  }

  async stop(): Promise<void> {
    await Promise.all(Object.values(this.#byKind).map((runtime) => runtime.stop()))
  }
}
