/** What the benchmarks run on: two nodes as two processes of one private mesh, over loopback. */

import { readFileSync } from 'node:fs'
import { Mesh } from '../sdk/index.ts'
import { Lab, type NodeProcess } from '../test/e2e/node-process.ts'

export type Pair = AsyncDisposable & { submitter: NodeProcess; worker: NodeProcess; mesh: Mesh }

/** `cores` are the units at once of the submitter's own machine and of the worker. */
export async function startPair(cores: readonly [submitter: number, worker: number]): Promise<Pair> {
  const lab = new Lab()
  try {
    const submitter = await lab.node('submitter', ['--cores', String(cores[0])])
    const join = await submitter.token()
    const worker = await lab.node('worker', ['--cores', String(cores[1]), '--join', join])
    await submitter.sees(2)
    const mesh = await Mesh.connect({ home: submitter.home })
    return { submitter, worker, mesh, [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose]() }
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
