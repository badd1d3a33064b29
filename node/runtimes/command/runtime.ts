/**
 * Programs of the machine, one process a unit, in bubblewrap: a read-only system, no network, no other user's files, a
 * bounded folder that is gone with the unit. Linux only.
 *
 * A task's source is a `Program` as JSON. A unit's value is `{ stdout }`, without its last
 * line end, once the program has ended with 0; its stderr is
 * its log, and its last part the message of a failure.
 */

import { PreparedRuntime } from '../prepared-runtime.ts'
import { ProgramSandbox } from '../program/sandbox.ts'
import type { Runtime, RuntimeInit } from '../runtime.ts'
import { layCommandJob } from './job.ts'
import { prepareCommand } from './prepare.ts'

export function createCommandRuntime({ scratchDir }: RuntimeInit): Runtime {
  return new PreparedRuntime({
    prepare: (signal) => prepareCommand(scratchDir, signal),
    openSandbox: (components, job) => new ProgramSandbox({ ...components, layJob: layCommandJob }, job),
  })
}
