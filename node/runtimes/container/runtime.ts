/**
 * Programs in images, one container a unit, run by podman: no network, a read-only root, no rights, a bounded folder that is
 * gone with the unit. Linux only, for a node started as root.
 *
 * A task's source is a `ContainerProgram` as JSON. A unit's value is that of a `command` unit.
 */

import { DiskBudget } from '../../files/disk-budget.ts'
import { PreparedRuntime } from '../prepared-runtime.ts'
import { ProgramSandbox } from '../program/sandbox.ts'
import type { Runtime, RuntimeInit } from '../runtime.ts'
import { layContainerJob } from './job.ts'
import { prepareContainer } from './prepare.ts'

export function createContainerRuntime({
  scratchDir,
  disk = new DiskBudget(Number.POSITIVE_INFINITY),
}: RuntimeInit): Runtime {
  return new PreparedRuntime({
    prepare: (signal) => prepareContainer({ scratchDir, disk }, signal),
    openSandbox: (components, job) => new ProgramSandbox({ ...components, layJob: layContainerJob }, job),
  })
}
