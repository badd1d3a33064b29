/** The sandbox of a job submitted here, for what this machine runs of it by itself. */

import type { Manifest } from '../../protocol/manifest.ts'
import type { SandboxInit } from '../runtimes/runtime.ts'
import type { BlobStore } from '../store/blobs.ts'

/** With the limits of any other machine. @throws E_NOT_FOUND, E_BLOB when the task is gone from this machine or damaged */
export function sandboxInit({ task, policy }: Manifest, blobs: Pick<BlobStore, 'get'>): SandboxInit {
  const { seed, cpus, memoryMiB, timeoutMs } = policy
  return { source: new TextDecoder().decode(blobs.get(task.digest)), seed, cpus, memoryMiB, timeoutMs }
}
