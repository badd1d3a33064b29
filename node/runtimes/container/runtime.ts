/**
 * Programs in images, one container a unit, run by podman: no network, a read-only root, no rights, a bounded folder that is
 * gone with the unit. Linux only, for a node started as root.
 *
 * A task's source is a `ContainerProgram` as JSON. A unit's value is that of a `command` unit.
 */

import { PreparedRuntime } from '../prepared-runtime.ts'
import type { Runtime } from '../runtime.ts'
import { prepareContainer } from './prepare.ts'
import { ContainerSandbox } from './sandbox.ts'

export type ContainerRuntimeInit = {
  /** A private folder, made if need be. What is written there is removed by `stop()`. */
  scratchDir: string
}

export function createContainerRuntime({ scratchDir }: ContainerRuntimeInit): Runtime {
  return new PreparedRuntime({
    prepare: (signal) => prepareContainer(scratchDir, signal),
    openSandbox: (components, job) => new ContainerSandbox(components, job),
  })
}
