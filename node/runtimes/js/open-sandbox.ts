/** A sandbox of any kind that runs in Deno, with the files its job brings: its processes may read those, and nothing else of this disk. */

import { sandboxInputs } from '../../../protocol/data/sandbox-inputs.ts'
import type { SandboxComponents } from '../prepared-runtime.ts'
import type { Reached } from '../reachable-folders.ts'
import type { SandboxInit } from '../runtime.ts'
import type { SandboxedKind } from './frames.ts'
import { planLaunch, seenFolder } from './launch.ts'
import type { PreparedJs } from './prepare.ts'
import { JsSandbox } from './sandbox.ts'
import { Session } from './session.ts'

export function openJsSandbox(
  kind: SandboxedKind,
  { prepared, onClosed }: SandboxComponents<PreparedJs>,
  job: SandboxInit,
): JsSandbox {
  // No such task names more than one.
  const [tree] = job.trees?.values() ?? []
  let reached: Promise<Reached> | undefined
  const openSession = async (): Promise<Session> => {
    const { facts, folder, inputs } = await prepared()
    if (tree === undefined) return new Session({ ...job, kind, plan: planLaunch(facts, job.memoryMiB, kind), folder })
    const files = sandboxInputs(tree.layout.tree)
    reached ??= inputs.reach(tree.folder)
    const shown = (await reached).folder
    const given = {
      folder: seenFolder(facts, shown),
      files: files.map(({ path, bytes, executable }) => [path, bytes, executable] as const),
    }
    return new Session({ ...job, kind, plan: planLaunch(facts, job.memoryMiB, kind, shown), folder, given })
  }
  const release = async (sandbox: JsSandbox): Promise<void> => {
    await (await reached?.catch(() => undefined))?.release()
    onClosed(sandbox)
  }
  return new JsSandbox({ openSession, onClosed: release }, job)
}
