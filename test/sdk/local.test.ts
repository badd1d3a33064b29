import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import throws from '../../examples/csv/throw.task.ts'
import { runInfluenza } from '../../examples/influenza/demo.ts'
import { sumOfSquares } from '../../examples/influenza/model.ts'
import { csv, grid, Mesh, range, taskAt } from '../../sdk/index.ts'
import square from './tasks/square.task.ts'

const pi = taskAt<typeof import('../../examples/pi/pi.task.ts')>(
  new URL('../../examples/pi/pi.task.ts', import.meta.url),
)

describe('three real nodes', () => {
  let mesh: Mesh
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'talkoot-examples-'))
    mesh = await Mesh.local({ nodes: 3 })
  })
  afterAll(async () => {
    await mesh[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  it('know each other', async () => {
    const { peers } = await mesh.peers()
    expect(peers.map(({ name }) => name).sort()).toEqual(['local-1', 'local-2', 'local-3'])
  })

  it('check a zod schema inside each unit', async () => {
    const job = await mesh.map(square, grid({ n: [12, 13, 60, 101] }), { retries: 0 })
    const ends: unknown[] = []
    for await (const { value, error } of job.results({ order: 'input' })) ends.push(value?.square ?? error?.code)
    expect(ends).toEqual([144, 'E_TASK_THREW', 'E_OUTPUT', 'E_INPUT'])
  })

  it('fit the influenza outbreak as a textbook does', async () => {
    const outcome = await runInfluenza(mesh, { outDir: folder })
    expect(outcome).toMatchObject({ units: 17_061, accepted: 17_061, failed: 0, disagreements: 0 })
    expect(outcome.executions).toBeGreaterThanOrEqual(2 * outcome.units)
    const { beta, gamma, r0, sse } = outcome.best
    expect([beta, gamma]).toEqual([1.7, 0.447])
    expect(r0).toBeCloseTo(3.8, 1)
    expect(sse).toBeCloseTo(sumOfSquares(1.7, 0.447), 6)
    const rows: Record<string, string>[] = parse(await readFile(outcome.files.csv), { columns: true })
    expect(rows).toHaveLength(17_061)
    expect(rows.map(({ unit }) => Number(unit))).toEqual(rows.map((_, i) => i))
    expect((await readFile(outcome.files.jsonl, 'utf8')).trimEnd().split('\n')).toHaveLength(17_061)
  })

  it('draw the same random numbers on every peer', async () => {
    const job = await mesh.map(pi, grid({ batch: range(20), n: [20_000] }), { verify: { quorum: 2, of: 2 }, seed: 1 })
    const inside = (await job.collect()).reduce((sum, { value }) => sum + value.inside, 0)
    expect((4 * inside) / 400_000).toBeCloseTo(Math.PI, 1)
  })

  it('run the rows of a file', async () => {
    const job = await mesh.map(throws, csv(new URL('../../examples/csv/throws.csv', import.meta.url)))
    const flights = await job.collect()
    expect(flights).toHaveLength(9)
    for (const { value } of flights) expect(value.range).toBeLessThan(value.vacuum)
  })
})
