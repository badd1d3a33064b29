/** What the benchmarks run on: two nodes as two processes of one private mesh, over loopback. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Mesh } from '../sdk/index.ts'
import { Lab, type NodeProcess } from '../test/e2e/node-process.ts'

export type Pair = AsyncDisposable & { submitter: NodeProcess; worker: NodeProcess; mesh: Mesh }

/** A folder for CPU profiles of both nodes, and for how late their event loops were, if they are wanted. */
const PROFILE = process.env.BENCH_PROFILE
const PROGRAM = fileURLToPath(new URL('../bin/talkoot.js', import.meta.url))
const LOOP_LAG = new URL('./loop-lag.ts', import.meta.url).href

function profiled(name: string): { program?: string[] } {
  if (PROFILE === undefined) return {}
  const profile = ['--cpu-prof', `--cpu-prof-dir=${PROFILE}`, `--cpu-prof-name=${name}.cpuprofile`]
  return { program: [...profile, '--import', LOOP_LAG, PROGRAM] }
}

/** `cores` are the units at once of the submitter's own machine and of the worker. */
export async function startPair(cores: readonly [submitter: number, worker: number]): Promise<Pair> {
  const lab = new Lab()
  const start = (name: string, slots: number, ...args: string[]) =>
    lab.node(name, ['--cores', String(slots), ...args], profiled(name))
  try {
    const submitter = await start('submitter', cores[0])
    const worker = await start('worker', cores[1], '--join', await submitter.token())
    await submitter.sees(2)
    const mesh = await Mesh.connect({ home: submitter.home })
    const end = async () => {
      // A profile is written at an orderly end only.
      if (PROFILE !== undefined) await Promise.all([submitter, worker].map((node) => node.kill('SIGTERM')))
      await lab[Symbol.asyncDispose]()
    }
    return { submitter, worker, mesh, [Symbol.asyncDispose]: end }
  } catch (error) {
    await lab[Symbol.asyncDispose]()
    throw error
  }
}

/** The most memory the process ever had, MiB (Linux: VmHWM of proc(5)), and what it has now. */
export function memoryOf(pid: number): { peakMiB: number; nowMiB: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mib = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1_024
  return { peakMiB: mib('VmHWM'), nowMiB: mib('VmRSS') }
}

/** Reads a job to its end. @throws unless so many units of it were accepted */
export async function untilAccepted(job: AsyncIterable<{ status: string }>, count: number): Promise<void> {
  let accepted = 0
  for await (const { status } of job) accepted += status === 'accepted' ? 1 : 0
  if (accepted !== count) throw new Error(`${accepted} of ${count} units were accepted`)
}
