/** What units leave: their ends, and the files that were kept of each. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Runtime, SandboxInit, UnitInput } from '../../node/runtimes/runtime.ts'
import { TreeStore } from '../../node/store/tree-store.ts'
import { UnitFiles } from '../../node/worker/unit-files.ts'
import type { Attempt } from '../../protocol/work.ts'
import { attemptsOf, DEADLINE_MS, inputs } from './attempts.ts'

/** Files by path. */
export type Left = { attempt: Attempt; files: Record<string, Buffer>; executable: string[] }

type How = Partial<SandboxInit> & { points?: unknown[]; units?: UnitInput[] }

export async function leftBy(
  runtime: Runtime,
  source: string,
  { points = [{}], units = inputs(points), ...init }: How = {},
): Promise<Left[]> {
  const folder = mkdtempSync(join(tmpdir(), 'talkoot-left-'))
  const kept = new UnitFiles({ trees: new TreeStore({ folder, budgetBytes: 2 ** 30 }) })
  const sandbox = runtime.open({
    ...{ source, seed: 7, cpus: 1, memoryMiB: 256, timeoutMs: 60_000, ...init },
    keepFiles: (...given) => kept.keep(...given),
  })
  try {
    const attempts = await attemptsOf(sandbox.run(units, AbortSignal.timeout(DEADLINE_MS)))
    return attempts.map((attempt) => {
      const held = kept.take(attempt.unit)
      const found = held === undefined ? [] : filesIn(held.folder)
      const files = Object.fromEntries(found.map((path) => [path, readFileSync(join(held?.folder ?? '', path))]))
      const executable = (held?.layout.tree.files ?? []).filter((file) => file.executable).map(({ path }) => path)
      held?.release()
      return { attempt, files, executable }
    })
  } finally {
    await sandbox.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

const filesIn = (root: string): string[] =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1))
