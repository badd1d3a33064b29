/** What is measured side by side, and how each engine is found and driven. */

import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export type Workload = 'no-op' | '10 ms' | '50 ms' | 'process' | 'no-op, batched by hand'
export const WORKLOADS: readonly Workload[] = ['no-op', '10 ms', '50 ms', 'process', 'no-op, batched by hand']

/** An engine that runs; `run` returns the seconds until every result was in the caller's hands. */
export type Running = AsyncDisposable & { version: string; run(workload: Workload, count: number): Promise<number> }

export type Engine = {
  name: string
  workloads: readonly Workload[]
  /** How long the run that counts should last at least; of trivial units each as long. */
  lastingSeconds: number
  /** Null, or why it cannot be measured here. */
  missing(): string | null
  start(): Promise<Running>
}

/** A Python with the engines in it: `BENCH_PYTHON`, or the `python3` of the path. */
const PYTHON = process.env.BENCH_PYTHON ?? 'python3'
/** HyperQueue's client hears of the end of a job once a second: its runs are longer, so that this counts for little. */
const LASTING_SECONDS = 2
const LASTING_HYPERQUEUE_SECONDS = 6
const START_DEADLINE_MS = 60_000
const RUN_DEADLINE_MS = 120_000
const ANSWER = '\u001e'

const UNITS: readonly Workload[] = ['no-op', '10 ms', '50 ms', 'process']
const ALL: readonly Workload[] = WORKLOADS

export const PEERS: readonly Engine[] = [
  python('Dask', 'distributed', ALL, ['dask_driver.py']),
  python('Ray, tasks', 'ray', ALL, ['ray_driver.py', 'tasks']),
  python('Ray, actors', 'ray', UNITS, ['ray_driver.py', 'actors']),
  python('Celery', 'celery', ALL, ['celery_driver.py'], 'redis-server'),
  gnuParallel(),
  {
    ...python('HyperQueue', 'hyperqueue', UNITS, ['hyperqueue_driver.py']),
    lastingSeconds: LASTING_HYPERQUEUE_SECONDS,
  },
]

function python(
  name: string,
  module: string,
  workloads: readonly Workload[],
  script: readonly string[],
  program?: string,
): Engine {
  return {
    name,
    workloads,
    lastingSeconds: LASTING_SECONDS,
    missing: () => {
      if (program !== undefined && !onPath(program)) return `${program} is not on the path`
      const found = spawnSync(PYTHON, ['-c', `import ${module}`], { timeout: START_DEADLINE_MS }).status === 0
      return found ? null : `${PYTHON} has no module ${module}`
    },
    start: () => startDriver(script),
  }
}

const COMMANDS: Partial<Record<Workload, string>> = {
  'no-op': '/bin/true',
  process: '/bin/true',
  '10 ms': '/bin/sleep 0.010',
  '50 ms': '/bin/sleep 0.050',
}

function gnuParallel(): Engine {
  const run = async (workload: Workload, count: number): Promise<number> => {
    const input = Array.from({ length: count }, (_, x) => `${x}\n`).join('')
    // The smallest shell, no output kept in files, no replacement of arguments looked for.
    const env = { ...process.env, PARALLEL_SHELL: '/bin/sh' }
    const began = performance.now()
    const { status } = spawnSync('parallel', ['-j2', '--ungroup', '-n1', `${COMMANDS[workload]} #`], {
      input,
      env,
      timeout: RUN_DEADLINE_MS,
    })
    if (status !== 0) throw new Error(`parallel ended with ${status}`)
    return (performance.now() - began) / 1_000
  }
  const version = (): string =>
    /parallel (\d+)/.exec(spawnSync('parallel', ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? ''
  return {
    name: 'GNU parallel',
    workloads: UNITS,
    lastingSeconds: LASTING_SECONDS,
    missing: () => (onPath('parallel') ? null : 'parallel is not on the path'),
    start: async () => ({ version: version(), run, [Symbol.asyncDispose]: async () => undefined }),
  }
}

const onPath = (program: string): boolean =>
  (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, program)))

/** A script of this folder that speaks as `driver.py` says. */
async function startDriver([script = '', ...args]: readonly string[]): Promise<Running> {
  const file = fileURLToPath(new URL(script, import.meta.url))
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', PYTHONPATH: dirname(file) }
  // A group of its own: whatever the engine starts ends with it.
  const child = spawn(PYTHON, [file, ...args], { env, stdio: ['pipe', 'pipe', 'ignore'], detached: true })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const answer = async (deadlineMs: number): Promise<{ version?: string; seconds?: number }> => {
    const timer = setTimeout(() => endGroup(child.pid), deadlineMs)
    try {
      for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
        const at = line.value.indexOf(ANSWER)
        if (at >= 0) return JSON.parse(line.value.slice(at + 1))
      }
      throw new Error(`${script} ended without an answer`)
    } finally {
      clearTimeout(timer)
    }
  }
  const { version = '' } = await answer(START_DEADLINE_MS)
  return {
    version,
    run: async (workload, count) => {
      child.stdin.write(`${JSON.stringify({ workload, count })}\n`)
      return (await answer(RUN_DEADLINE_MS)).seconds ?? Number.NaN
    },
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.stdin.end()
      const timer = setTimeout(() => endGroup(child.pid), 10_000)
      await ended
      clearTimeout(timer)
      endGroup(child.pid)
    },
  }
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
