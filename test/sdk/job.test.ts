import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { csv, exclude, grid, Mesh, range, slice, TalkootError } from '../../sdk/index.ts'
import { FakeNode } from './fake-node.ts'
import square from './tasks/square.task.ts'

const plain = new URL('./tasks/plain.task.ts', import.meta.url)

let node: FakeNode
let mesh: Mesh

beforeEach(async () => {
  node = new FakeNode()
  await node.start()
  mesh = await Mesh.connect({ home: node.home })
})
afterEach(() => node.stop())

describe('map', () => {
  it('gives results as they are decided, or in the order of the sweep', async () => {
    const job = await mesh.map(square, grid({ n: range(5) }))
    expect(await units(job)).toEqual([4, 3, 2, 1, 0])
    expect(await units(job.results({ order: 'input' }))).toEqual([0, 1, 2, 3, 4])
    const values = (await job.collect()).map(({ params, value }) => [params.n, value.square])
    expect(values).toEqual([0, 1, 2, 3, 4].map((n) => [n, n * n]))
  })

  it('takes a plain function by the URL of its module, and rows of a file', async () => {
    const file = join(node.home, 'rows.csv')
    writeFileSync(file, 'a,b\n1,2\n3,\n5,6\n')
    const job = await mesh.map(plain, slice(exclude(csv(file), { a: 1 }), 0, 1))
    expect(await job.collect()).toMatchObject([{ unit: 0, params: { a: 3, b: null }, value: 3 }])
  })

  it('runs again what failed, and nothing when nothing did', async () => {
    const failed = await mesh.map(square, grid({ n: [12, 13, 14] }))
    await expect(failed.collect()).rejects.toThrow(AggregateError)
    const mended = join(node.home, 'mended.ts')
    writeFileSync(mended, 'export default ({ n }) => n * n')
    const again = await mesh.retryFailed(failed, { task: mended })
    expect((await again.collect()).map(({ unit, params }) => [unit, params])).toEqual([[1, { n: 13 }]])
    expect(await units(again.results({ all: true }))).toEqual([0, 1, 2])
    const whole: unknown[] = []
    for await (const { value } of again.results({ all: true })) whole.push(value)
    expect(whole).toEqual([{ square: 144 }, 169, { square: 196 }])
    await expect(mesh.retryFailed(again)).rejects.toMatchObject({ code: 'E_JOB_INVALID' })
  })

  it('sends the policy, and how results agree as the task says it', async () => {
    const job = await mesh.map(square, grid({ n: [1] }), { name: 'squares', verify: { quorum: 2 }, retries: 0 })
    const { name, policy } = await job.progress()
    expect(name).toBe('squares')
    expect(policy).toMatchObject({
      verify: { kind: 'quorum', agree: 2, of: 3 },
      agree: { kind: 'tolerance', relative: 1e-9, absolute: 0 },
      retries: 0,
    })
  })

  it('refuses what no node could take before asking one', async () => {
    const asked = node.requests.length
    await expect(mesh.map(square, grid({ n: [1] }), { retries: -1 })).rejects.toMatchObject({ code: 'E_JOB_INVALID' })
    expect(node.requests.slice(asked)).toEqual([])
    await expect(mesh.map(square, grid({ n: range(0) }))).rejects.toMatchObject({ code: 'E_SWEEP_INVALID' })
  })

  it('says which clause leaves no peer, and queues if asked', async () => {
    const options = { require: 'peer.cpus > 99' }
    await expect(mesh.map(plain, grid({ a: [1] }), options)).rejects.toMatchObject({
      code: 'E_JOB_UNPLACEABLE',
      meta: { clauses: ['peer.cpus > 99: excludes 2, leaves 0'] },
    })
    await expect(mesh.map(plain, grid({ a: [1] }), { ...options, queue: true })).resolves.toBeDefined()
  })
})

describe('failed units', () => {
  it('arrive among the others, with their error', async () => {
    const job = await mesh.map(square, grid({ n: [12, 13, 60, 101] }))
    const codes: unknown[] = []
    for await (const { status, error, blame } of job.results({ order: 'input' }))
      codes.push([status, error?.code, blame])
    expect(codes).toEqual([
      ['accepted', undefined, undefined],
      ['failed', 'E_TASK_THREW', 'program'],
      ['failed', 'E_OUTPUT', 'program'],
      ['failed', 'E_INPUT', 'program'],
    ])
  })

  it('make collect throw an AggregateError that names them', async () => {
    const job = await mesh.map(square, grid({ n: [12, 13, 101] }))
    const error = await job.collect().catch((thrown: unknown) => thrown)
    if (!(error instanceof AggregateError)) throw error
    expect(error.message).toBe('2 of 3 units failed: 1 (E_TASK_THREW), 2 (E_INPUT)')
    expect(error.errors).toMatchObject([{ code: 'E_TASK_THREW', meta: { unit: 1 } }, { code: 'E_INPUT' }])
    expect(error.cause).toMatchObject({ code: 'E_UNITS_FAILED' })
  })
})

describe('a stream that is cut', () => {
  it.each(['completion', 'input'] as const)('goes on from its cursor, in %s order', async (order) => {
    const job = await mesh.map(square, grid({ n: range(10) }))
    node.cutAfter = [3, 0, 4]
    const expected = order === 'input' ? [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] : [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    expect(await units(job.results({ order }))).toEqual(expected)
    expect(node.requests.filter((request) => request.endsWith('/results'))).toHaveLength(4)
  })

  it('goes on when it ended before the last result', async () => {
    const job = await mesh.map(square, grid({ n: range(10) }))
    node.endAfter = [3, 0]
    expect(await units(job)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
  })

  it('goes on when the node was restarted at another address', async () => {
    node.held = true
    const job = await mesh.map(square, grid({ n: range(3) }))
    const reading = units(job)
    const watching = states(job)
    await expect.poll(() => node.requests.some((request) => request.endsWith('/results'))).toBe(true)
    await node.restart()
    node.release()
    expect(await reading).toEqual([2, 1, 0])
    expect((await watching).at(-1)).toBe('done')
  })
})

describe('a stream', () => {
  it('is closed by whoever stops reading it', async () => {
    node.stalled = true
    const job = await mesh.map(square, grid({ n: range(3) }))
    for await (const { unit } of job) {
      expect(unit).toBe(2)
      break
    }
    await expect.poll(() => node.openStreams).toBe(0)
  })

  it('is given up when the node stays away too long', async () => {
    node.held = true
    const job = await mesh.map(square, grid({ n: range(3) }))
    const reading = units(job)
    await expect.poll(() => node.openStreams).toBe(1)
    const now = vi.spyOn(performance, 'now')
    try {
      const start = performance.now()
      now.mockReturnValueOnce(start).mockReturnValue(start + LIMITS.API_RECONNECT_MAX_MS + 1)
      await Promise.all([expect(reading).rejects.toMatchObject({ code: 'E_NOT_RUNNING' }), node.stop()])
    } finally {
      now.mockRestore()
    }
  })

  it('with a line over the limit is refused', async () => {
    node.flood = 2 * LIMITS.API_LINE_MAX_CHARS
    const job = await mesh.map(square, grid({ n: range(3) }))
    await expect(units(job)).rejects.toMatchObject({ code: 'E_FRAME_TOO_BIG' })
    await expect.poll(() => node.openStreams).toBe(0)
  })

  it('of something else is refused', async () => {
    node.flood = 10
    const job = await mesh.map(square, grid({ n: range(3) }))
    await expect(units(job)).rejects.toMatchObject({ code: 'E_PROTOCOL_VERSION' })
  })
})

describe('the end of a job', () => {
  it('by cancel: iteration throws', async () => {
    node.held = true
    const job = await mesh.map(square, grid({ n: range(3) }))
    const reading = units(job)
    await job.cancel()
    await expect(reading).rejects.toMatchObject({ code: 'E_JOB_CANCELLED' })
  })

  it('by a signal: cancelled, and iteration throws its reason', async () => {
    node.held = true
    const abort = new AbortController()
    const job = await mesh.map(square, grid({ n: range(3) }), { signal: abort.signal })
    const reading = units(job)
    abort.abort(new Error('enough'))
    await expect(reading).rejects.toThrow('enough')
    await expect.poll(() => node.jobs.get(job.id)?.info.state).toBe('cancelled')
  })

  it('by leaving the scope: cancelled if it was submitted there, left alone if attached', async () => {
    node.held = true
    const { id } = await mesh.map(square, grid({ n: range(3) }))
    {
      await using attached = await mesh.attach(id.slice(0, 8))
      expect(attached.id).toBe(id)
    }
    expect(node.jobs.get(id)?.info.state).toBe('running')
    let mapped = ''
    {
      await using job = await mesh.map(square, grid({ n: range(3) }))
      mapped = job.id
    }
    expect(node.jobs.get(mapped)?.info.state).toBe('cancelled')
    expect((await mesh.jobs()).map(({ state }) => state)).toEqual(['running', 'cancelled'])
  })
})

describe('connect', () => {
  it('says when no node runs, or another one answers', async () => {
    await expect(Mesh.connect({ home: join(node.home, 'nobody') })).rejects.toMatchObject({ code: 'E_NOT_RUNNING' })
    await expect(Mesh.connect({ url: 'http://127.0.0.1:9' })).rejects.toMatchObject({ code: 'E_NOT_RUNNING' })
    const { url } = JSON.parse(
      String(await import('node:fs').then((fs) => fs.readFileSync(join(node.home, 'api.json')))),
    )
    await expect(Mesh.connect({ url, token: 'wrong' })).rejects.toThrow(TalkootError)
    await expect(Mesh.connect({ url, token: 'wrong' })).rejects.toMatchObject({ code: 'E_UNAUTHORIZED' })
  })
})

async function units(results: AsyncIterable<{ unit: number }>): Promise<number[]> {
  const seen: number[] = []
  for await (const { unit } of results) seen.push(unit)
  return seen
}

async function states(job: { watch(): AsyncIterable<{ state: string }> }): Promise<string[]> {
  const seen: string[] = []
  for await (const { state } of job.watch()) seen.push(state)
  return seen
}
