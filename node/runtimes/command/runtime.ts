/**
 * Programs of the machine, one process a unit, in bubblewrap: a read-only system, no network, no other user's files, a
 * bounded folder that is gone with the unit. Linux only.
 *
 * A task's source is a `Program` as JSON. A unit's value is `{ stdout }`, without its last
 * line end, once the program has ended with 0; its stderr is
 * its log, and its last part the message of a failure.
 */

import { PreparedRuntime } from '../prepared-runtime.ts'
import type { Runtime } from '../runtime.ts'
import { prepareCommand } from './prepare.ts'
import { CommandSandbox } from './sandbox.ts'

export type CommandRuntimeInit = {
  /** A private folder, made if need be. What is written there is removed by `stop()`. */
  scratchDir: string
}

export function createCommandRuntime({ scratchDir }: CommandRuntimeInit): Runtime {
  return new PreparedRuntime({
    prepare: (signal) => prepareCommand(scratchDir, signal),
    openSandbox: (components, job) => new CommandSandbox(components, job),
  })
}
