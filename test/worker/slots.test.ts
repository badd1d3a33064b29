/** Slots with real sandboxes: who has one when, and what is kept warm between turns. */

import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Runtime, Sandbox } from '../../node/runtimes/runtime.ts'
import { Runtimes } from '../../node/runtimes/runtimes.ts'
import { WarmShelf } from '../../node/worker/warm-shelf.ts'
import { digestOf } from '../../protocol/canonical.ts'
import { encodeProgram } from '../../protocol/command/program.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { RuntimeKind } from '../../protocol/runtime-kinds.ts'
import { until } from '../mesh/nodes.ts'
import { newSigner, type SignedJob, Submitter, signJob } from './submitter.ts'
import { FOREVER, SQUARE, Workshop } from './workshop.ts'

/** About 10 ms a unit. */
const SHORT =
  'exports.default = ({ n }) => { let s = 0; for (let i = 0; i < 2.5e6; i++) s = (s + i) % 7; return n + 0 * s }'
/** About 400 ms a unit. */
const SLOW =
  'exports.default = ({ n }) => { let s = 0; for (let i = 0; i < 1e8; i++) s = (s + i) % 7; return n + 0 * s }'
/** Nothing at first, then about 200 ms a unit. */
const TURNS_LONG =
  'exports.default = ({ n }) => { let s = 0; if (n >= 300) for (let i = 0; i < 5e7; i++) s = (s + i) % 7; return n + 0 * s }'

let shop: Workshop
beforeAll(async () => {
  shop = await Workshop.open()
  for (const source of [SQUARE, SHORT, SLOW, FOREVER, TURNS_LONG]) shop.sources.set(digestOf(source), source)
})
afterEach(() => shop.stopWorkers())
afterAll(() => shop.close())

async function given(
  submitter: Submitter,
  source: string,
  count: number,
  policy: object = {},
  runtime: RuntimeKind = 'js',
): Promise<SignedJob> {
  const task = { runtime, digest: digestOf(source), bytes: Buffer.byteLength(source) }
  const job = await signJob(submitter.signer, source, policy, { task })
  await submitter.introduce(job)
  for (let from = 0; from < count; from += LIMITS.FRAME_UNITS_MAX) {
    await submitter.run(job, Math.min(LIMITS.FRAME_UNITS_MAX, count - from), from)
  }
  return job
}

const endsOf = (submitter: Submitter, { id }: SignedJob): number =>
  submitter.of('results').reduce((sum, { job, attempts }) => sum + (job === id ? attempts.length : 0), 0)

describe('a slot', () => {
  it('leaves a batch whose units turned out long for a job that is due, and loses none of them', async () => {
    const worker = await shop.worker()
    const [long, short] = [new Submitter(worker, await newSigner()), new Submitter(worker, await newSigner())]
    await given(long, TURNS_LONG, 600)
    // Counted where they end: their results are gathered before they are sent.
    const ended = () => worker.facts().total
    await until(() => ended() >= 300)
    const before = ended()
    await given(short, SQUARE, 1)
    await until(() => short.attempts.length === 1)
    // What ends within SLOT_BATCH_MAX_MS, of a batch of a hundred and more.
    expect(ended() - before).toBeLessThan(20)
    const after = ended()
    await until(() => long.attempts.length >= after + 5)
    const units = long.attempts.map(({ unit }) => unit)
    expect(units).toEqual([...units.keys()])
    expect(long.of('handback')).toEqual([])
  })

  it('is shared by submitters by weight, by jobs of one by priority', async () => {
    const [one, two] = [await newSigner(), await newSigner()]
    const shares = { self: 1, member: 1, stranger: 1, peers: { [two.peer]: 2 } }
    const worker = await shop.worker({ shares })
    const [first, second] = [new Submitter(worker, one), new Submitter(worker, two)]
    const low = await given(first, SHORT, 2_000)
    const high = await given(first, SHORT, 2_000, { priority: 1, seed: 1 })
    await given(second, SHORT, 6_000)
    const slotMs = ({ peer }: { peer: string }) => worker.shares().find((share) => share.peer === peer)?.slotMs ?? 0
    const fair = () => ({ byWeight: slotMs(two) / slotMs(one), byPriority: endsOf(first, high) / endsOf(first, low) })
    const isFair = ({ byWeight, byPriority }: ReturnType<typeof fair>) =>
      byWeight > 1.6 && byWeight < 2.4 && byPriority > 1.3
    // Processes that start slowly and turns that come early or late count for less in a longer time.
    for (let spanMs = 8_000; spanMs <= 64_000; spanMs *= 2) {
      await until(() => slotMs(one) + slotMs(two) > spanMs, 120_000)
      if (isFair(fair())) break
    }
    expect(fair()).toSatisfy(isFair)
  })

  it('finds the process of a new job started, while all slots are busy', async () => {
    const worker = await shop.worker()
    const [busy, fresh] = [new Submitter(worker, await newSigner()), new Submitter(worker, await newSigner())]
    await given(busy, SLOW, 50)
    await until(() => worker.facts().total >= 1)
    const waits: number[] = []
    for (let seed = 1; seed <= 3; seed++) {
      const ended = busy.attempts.length
      await given(fresh, SQUARE, 1, { seed })
      await until(() => fresh.attempts.length === seed)
      // At most what ran when it came, and one more while its process was started.
      waits.push(busy.attempts.length - ended)
    }
    expect(Math.max(...waits)).toBeLessThanOrEqual(2)
  })

  it('weighs more for whoever did more for this machine', async () => {
    const helper = await newSigner()
    shop.done.set(helper.peer, 1_000 * LIMITS.RECIPROCITY_HALF_MS)
    const worker = await shop.worker()
    const submitter = new Submitter(worker, helper)
    await until(() => submitter.of('beat').length > 0)
    expect(worker.shareOf(helper.peer)?.weight).toBeCloseTo(LIMITS.RECIPROCITY_MAX, 1)
  })

  it('comes to a job that needs nearly all memory, beside small ones that never end', async () => {
    const worker = await shop.worker({ slots: 2 })
    const [small, big] = [new Submitter(worker, await newSigner()), new Submitter(worker, await newSigner())]
    await given(small, SHORT, 4_000, { memoryMiB: 100 })
    await until(() => worker.facts().total > 20)
    await given(big, SQUARE, 1, { memoryMiB: 1_000 })
    await until(() => big.attempts.length === 1, LIMITS.ROOM_GRACE_MS + 60_000)
    const before = small.attempts.length
    await until(() => small.attempts.length > before)
  })
})

describe('units of several cores', () => {
  /** When it began and ended, and the cores it is told it has. */
  const CLOCK = encodeProgram({
    v: 1,
    argv: ['sh', '-c', 'echo "$(date +%s%N) $TALKOOT_CPUS $OMP_NUM_THREADS"; sleep 0.05; date +%s%N'],
    env: {},
    stdin: null,
    inputs: null,
  })

  it('have their turn beside short ones that never end, and no core is given twice', async () => {
    const cannot = await shop.commands.probe(AbortSignal.timeout(120_000)).then(
      () => null,
      (error: Error) => error.message,
    )
    if (cannot !== null) return console.warn(`not run: ${cannot}`)
    const worker = await shop.worker({ slots: 4 })
    const [narrow, wide] = [new Submitter(worker, await newSigner()), new Submitter(worker, await newSigner())]
    shop.sources.set(digestOf(CLOCK), CLOCK)
    await given(narrow, CLOCK, 1_000, {}, 'command')
    await until(() => worker.facts().total > 8)
    const jobs = [
      await given(wide, CLOCK, 8, { cpus: 4 }, 'command'),
      await given(wide, CLOCK, 8, { cpus: 3 }, 'command'),
    ]
    await until(() => jobs.every((job) => endsOf(wide, job) === 8), 120_000)
    const runs = [...narrow.attempts, ...wide.attempts].map((attempt) => {
      if (!attempt.ok) throw new Error(attempt.message)
      const [began = 0, cpus = 0, threads, ended = 0] = JSON.parse(attempt.value).stdout.split(/\s/).map(Number)
      expect(threads).toBe(cpus)
      return { began, ended, cpus }
    })
    expect(runs.filter(({ cpus }) => cpus === 4)).toHaveLength(8)
    for (const { began } of runs) {
      const beside = runs.filter((run) => run.began <= began && run.ended > began)
      expect(beside.reduce((sum, { cpus }) => sum + cpus, 0)).toBeLessThanOrEqual(4)
    }
    expect(worker.facts().busy).toBeLessThanOrEqual(4)
  })

  it('that are wanted no more give back the cores that were kept for them', async () => {
    const worker = await shop.worker({ slots: 2 })
    const [narrow, wide] = [new Submitter(worker, await newSigner()), new Submitter(worker, await newSigner())]
    await given(narrow, FOREVER, 1, { timeoutMs: 60_000 })
    await until(() => worker.facts().busy === 1)
    const { id: job } = await given(wide, SQUARE, 1, { cpus: 2 })
    await until(() => worker.facts().queued === 1)
    shop.ahead += LIMITS.ROOM_GRACE_MS
    await given(narrow, FOREVER, 1, { timeoutMs: 60_000 })
    await until(() => worker.facts().queued === 2)
    await wide.say({ t: 'revoke', job, units: null })
    await until(() => worker.facts().busy === 2)
  })
})

describe('a unit that is cut off while its files are taken', () => {
  const LEAVES = encodeProgram({
    ...{ v: 1, argv: ['sh', '-c', 'echo 1 > out'], env: {}, stdin: null, inputs: null },
    outputs: ['out'],
  })

  it('has none of them kept', async () => {
    const cannot = await shop.commands.probe(AbortSignal.timeout(120_000)).then(
      () => null,
      (error: Error) => error.message,
    )
    if (cannot !== null) return console.warn(`not run: ${cannot}`)
    const worker = await shop.worker()
    const submitter = new Submitter(worker, await newSigner())
    shop.sources.set(digestOf(LEAVES), LEAVES)
    const held = new Set<string>()
    let job = ''
    const takeIn = shop.trees.take.bind(shop.trees)
    const taking = vi.spyOn(shop.trees, 'take').mockImplementation(async (folder, signal) => {
      const tree = await takeIn(folder, signal)
      held.add(tree.digest)
      await submitter.say({ t: 'revoke', job, units: null })
      await until(() => signal.aborted)
      const release = () => {
        held.delete(tree.digest)
        tree.release()
      }
      return { ...tree, release }
    })
    try {
      job = (await given(submitter, LEAVES, 1, {}, 'command')).id
      await until(() => taking.mock.results.length === 1)
      await until(() => worker.facts().busy === 0)
      expect(taking).toHaveBeenCalledOnce()
      expect(held.size).toBe(0)
    } finally {
      taking.mockRestore()
    }
  })
})

describe('a sandbox without units', () => {
  const opened = { open: 0, closed: 0, warm: 0 }
  const runtime = {
    open: () => {
      opened.open += 1
      const close = async () => {
        opened.closed += 1
      }
      const warm = async () => {
        opened.warm += 1
      }
      return { close, warm } as unknown as Sandbox
    },
  } as unknown as Runtime
  const runtimes = new Runtimes({ js: runtime })
  const needs = (key: string, memoryMiB: number) => ({
    key,
    runtime: 'js' as const,
    init: { source: '', seed: 0, timeoutMs: 1_000, cpus: 1, memoryMiB },
  })
  const never = () => {
    throw new Error('no files are left here')
  }
  const wanted = new Set<string>()
  const shelf = (memoryMiB: number) => {
    Object.assign(opened, { open: 0, closed: 0, warm: 0 })
    const isWanted = (key: string) => wanted.has(key)
    return new WarmShelf(
      { runtimes, trees: { newFolder: never, take: never }, isWanted, onError: () => undefined },
      { memoryMiB },
    )
  }

  it('is used again by who needs the same, and closed when its memory is wanted', async () => {
    const kept = shelf(300)
    const [a, b] = [await kept.take(needs('a', 100)), await kept.take(needs('b', 100))]
    kept.put(needs('a', 100), a)
    kept.put(needs('b', 100), b)
    expect([kept.has('a'), kept.has('b'), kept.has('c')]).toEqual([true, true, false])
    expect(await kept.take(needs('b', 100))).toBe(b)
    await kept.take(needs('c', 150))
    expect(kept.has('a')).toBe(false)
    expect(opened).toEqual({ open: 3, closed: 1, warm: 0 })
    await kept.clear()
  })

  it('is started ahead of its job’s turn where memory is left, once', async () => {
    const kept = shelf(250)
    await kept.take(needs('a', 100))
    for (const key of ['b', 'b', 'c']) kept.prepare(needs(key, 100))
    expect([kept.has('b'), kept.has('c')]).toEqual([true, false])
    await kept.take(needs('b', 100))
    expect(opened).toEqual({ open: 2, closed: 0, warm: 1 })
    await kept.clear()
  })

  it('is kept for as long as units that need it wait for a slot', async () => {
    vi.useFakeTimers()
    try {
      const kept = shelf(300)
      kept.put(needs('a', 100), await kept.take(needs('a', 100)))
      wanted.add('a')
      await vi.advanceTimersByTimeAsync(10 * LIMITS.SANDBOX_LINGER_MS)
      expect(kept.has('a')).toBe(true)
      wanted.clear()
      await vi.advanceTimersByTimeAsync(LIMITS.SANDBOX_LINGER_MS)
      expect([kept.has('a'), opened.closed]).toEqual([false, 1])
    } finally {
      vi.useRealTimers()
    }
  })

  it('is closed after a while, and when there are too many', async () => {
    vi.useFakeTimers()
    try {
      const kept = shelf(100_000)
      const keys = Array.from({ length: LIMITS.SANDBOXES_WARM_MAX + 1 }, (_, i) => needs(`k${i}`, 100))
      const taken = await Promise.all(keys.map(async (key) => ({ key, sandbox: await kept.take(key) })))
      for (const { key, sandbox } of taken) kept.put(key, sandbox)
      expect(opened.closed).toBe(1)
      expect(kept.has('k0')).toBe(false)
      await vi.advanceTimersByTimeAsync(LIMITS.SANDBOX_LINGER_MS)
      expect(opened.closed).toBe(keys.length)
    } finally {
      vi.useRealTimers()
    }
  })
})
