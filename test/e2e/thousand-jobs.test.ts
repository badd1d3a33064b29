/** A thousand jobs on one node at once: short ones and long ones, of one program and of many. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { API, addressFileSchema, type Jobs, jobsSchema } from '../../protocol/api.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { grid, Mesh, range, taskAt } from '../../sdk/index.ts'
import { Lab, type NodeProcess, until } from './node-process.ts'

const slowSquare = taskAt<typeof import('./tasks/slow-square.task.ts')>(
  fileURLToPath(new URL('./tasks/slow-square.task.ts', import.meta.url)),
)
const JOBS = LIMITS.JOBS_ACTIVE_MAX
/** Submissions under way at once. */
const HANDS = 8
const RSS_MAX_MIB = 400
/** Looking at a thousand jobs is work too. */
const LOOK_MS = 500

const rssMiB = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024

/** Without a process for each look. */
async function jobsOf({ home }: NodeProcess): Promise<Jobs['jobs']> {
  const { url, token } = addressFileSchema.parse(JSON.parse(readFileSync(join(home, 'api.json'), 'utf8')))
  const answer = await fetch(url + API.jobs, { headers: { authorization: `Bearer ${token}` } })
  return jobsSchema.parse(await answer.json()).jobs
}

it('all have a turn and end, in bounded memory', { timeout: 1_200_000 }, async () => {
  await using lab = new Lab()
  const node = await lab.node('node', ['--cores', '2', '--mem', '2GiB'])
  await using mesh = await Mesh.connect({ home: node.home })
  const began = performance.now()
  let next = 0
  const submit = async (): Promise<void> => {
    while (next < JOBS) {
      const i = next++
      // One in fifty is long; one in twenty has a process of its own.
      if (i % 50 === 0) await mesh.map(slowSquare, grid({ x: range(200), ms: [5] }))
      else await mesh.map(slowSquare, grid({ x: range(3), ms: [1] }), { seed: i % 20 === 1 ? i : 0 })
    }
  }
  await Promise.all(Array.from({ length: HANDS }, submit))
  const submittedMs = performance.now() - began

  const turnedAt = new Map<string, number>()
  let peakMiB = 0
  await until('all jobs to end', 900_000, async () => {
    await wait(LOOK_MS)
    peakMiB = Math.max(peakMiB, rssMiB(node.pid))
    const jobs = await jobsOf(node)
    for (const { id, accepted } of jobs) {
      if (accepted > 0) turnedAt.set(id, turnedAt.get(id) ?? performance.now() - began)
    }
    return jobs.length === JOBS && jobs.every(({ state }) => state === 'done')
  })
  const endedMs = performance.now() - began
  const jobs = await jobsOf(node)
  expect(jobs.every(({ units, accepted, failed }) => accepted === units && failed === 0)).toBe(true)
  const lastTurnMs = Math.max(...turnedAt.values())
  const seconds = [submittedMs, lastTurnMs, endedMs].map((ms) => (ms / 1_000).toFixed(1))
  console.info(`submitted, all begun, all ended after ${seconds.join(', ')} s; ${peakMiB.toFixed(0)} MiB at most`)
  // A turn is at most some seconds; new jobs are before those begun. On slow machines submitting them takes longer, too.
  expect(lastTurnMs - submittedMs).toBeLessThan(Math.max(120_000, 8 * submittedMs))
  expect(peakMiB).toBeLessThan(RSS_MAX_MIB)
})
