/**
 * Programs in images, one container a unit, run by podman: no network, a read-only root, no rights, a bounded folder that is
 * gone with the unit. Linux only, for a node started as root.
 *
 * A task's source is a `ContainerProgram` as JSON. A unit's value is that of a `command` unit.
 */

import { PreparedRuntime } from '../prepared-runtime.ts'
import { ProgramSandbox } from '../program/sandbox.ts'
import type { Runtime, RuntimeInit } from '../runtime.ts'
import { layContainerJob } from './job.ts'
import { prepareContainer } from './prepare.ts'

export function createContainerRuntime({ scratchDir }: RuntimeInit): Runtime {
  return new PreparedRuntime({
    prepare: (signal) => prepareContainer(scratchDir, signal),
    openSandbox: (components, job) => new ProgramSandbox({ ...components, layJob: layContainerJob }, job),
  })
}
