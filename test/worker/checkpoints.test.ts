/** What units save of themselves, at a worker: sent at intervals and before the unit, held within bounds, found again. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { Checkpoints } from '../../node/worker/checkpoints.ts'
import { digestOf } from '../../protocol/canonical.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { until } from '../mesh/nodes.ts'
import { newSigner, Submitter, signJob } from './submitter.ts'
import { Workshop } from './workshop.ts'

const SAVES = `exports.default = ({ n }, { checkpoint, resumed }) => {
  if (resumed !== undefined) return resumed
  checkpoint({ half: n })
  for (;;);
}`

const STATELESS = new Uint8Array()
const text = (state: Uint8Array) => Buffer.from(state).toString()

describe('a worker', () => {
  let shop: Workshop
  beforeAll(async () => {
    shop = await Workshop.open()
    shop.sources.set(digestOf(SAVES), SAVES)
  })
  afterEach(() => shop.stopWorkers())
  afterAll(() => shop.close())

  const open = async () => {
    const signer = await newSigner()
    const worker = await shop.worker()
    const submitter = new Submitter(worker, signer)
    const job = await signJob(signer, SAVES, { timeoutMs: 60_000 })
    await submitter.introduce(job)
    return { signer, worker, submitter, job }
  }

  it('sends what a unit saved while it runs, and gives the unit back after it', async () => {
    const { worker, submitter, job } = await open()
    await submitter.run(job, 1, 7)
    await until(() => submitter.of('checkpoint').length === 1)
    worker.pause(true)
    await until(() => submitter.of('handback').length === 1)
    expect(submitter.of('checkpoint')).toEqual([
      { t: 'checkpoint', job: job.id, unit: 7, state: expect.any(Uint8Array) },
    ])
    expect(submitter.of('checkpoint').map(({ state }) => text(state))).toEqual(['{"half":7}'])
  })

  it('sends the last state before it gives the unit back, however lately it was saved', async () => {
    const { signer, worker, submitter } = await open()
    const steps = SAVES.replace('checkpoint({ half: n })', 'for (let i = 0; i < 50; i++) checkpoint(i)')
    shop.sources.set(digestOf(steps), steps)
    const job = await signJob(signer, steps, { timeoutMs: 60_000 })
    await submitter.introduce(job)
    await submitter.run(job, 1)
    // The unit saves fifty in a row, of which the first goes out at once and the others by and by.
    await until(() => submitter.of('checkpoint').length >= 1)
    const beats = submitter.of('beat').length
    await until(() => submitter.of('beat').length >= beats + 2)
    worker.pause(true)
    await until(() => submitter.of('handback').length === 1)
    expect(submitter.heard.filter(({ t }) => t === 'checkpoint' || t === 'handback').at(-1)?.t).toBe('handback')
    expect(
      submitter
        .of('checkpoint')
        .map(({ state }) => text(state))
        .at(-1),
    ).toBe('49')
    expect(submitter.of('checkpoint').length).toBeLessThan(10)
  })

  it('starts a unit from what its submitter has of it, unless it is of no job or no unit here', async () => {
    const { submitter, job } = await open()
    const state = Buffer.from('"from there"')
    await submitter.say({ t: 'resume', job: digestOf('another job'), unit: 3, state })
    await submitter.say({ t: 'resume', job: job.id, unit: 4, state })
    await submitter.say({ t: 'resume', job: job.id, unit: 3, state })
    await submitter.run(job, 1, 3)
    await until(() => submitter.attempts.length === 1)
    expect(submitter.attempts).toEqual([{ unit: 3, ok: true, value: '"from there"' }])
  })

  it('tells a submitter that comes back what was saved meanwhile', async () => {
    const signer = await newSigner()
    const counts = 'exports.default = (_, { checkpoint }) => { for (let i = 0; ; i++) checkpoint(i) }'
    shop.sources.set(digestOf(counts), counts)
    const [worker, job] = [await shop.worker(), await signJob(signer, counts, { timeoutMs: 60_000 })]
    const submitter = new Submitter(worker, signer)
    await submitter.introduce(job)
    await submitter.run(job, 1)
    await until(() => submitter.of('checkpoint').length > 0)
    await submitter.leave()
    shop.ahead += LIMITS.CHECKPOINT_INTERVAL_MS
    const again = new Submitter(worker, signer)
    await until(() => again.of('checkpoint').length > 0)
    const [first, second] = [submitter, again].map((heard) =>
      Number(text(heard.of('checkpoint')[0]?.state ?? STATELESS)),
    )
    expect(second).toBeGreaterThan(first ?? 0)
  })
})

describe('what is held for a submitter', () => {
  beforeEach(() => void vi.useFakeTimers({ now: 0 }))
  afterEach(() => void vi.useRealTimers())

  const open = () => {
    const sent: [unit: number, state: string, atMs: number][] = []
    const checkpoints = new Checkpoints({
      now: Date.now,
      send: async (_, unit, state) => void sent.push([unit, text(state.subarray(0, 8)), Date.now()]),
    })
    checkpoints.connect(true)
    const save = (unit: number, state: string) => checkpoints.save('job', unit, Buffer.from(state))
    return { checkpoints, sent, save }
  }

  it('goes at once, then at intervals, the last state only', async () => {
    const { sent, save } = open()
    for (let i = 0; i < 100; i++) {
      save(1, String(i))
      await vi.advanceTimersByTimeAsync(200)
    }
    const every = LIMITS.CHECKPOINT_INTERVAL_MS
    expect(sent).toEqual([[1, '0', 0], ...[1, 2, 3, 4].map((nth) => [1, String((nth * every) / 200 - 1), nth * every])])
  })

  it('takes no more memory than its bytes, whatever it came with', () => {
    const { checkpoints } = open()
    checkpoints.keep('job', 1, new Uint8Array(LIMITS.FRAME_MAX_BYTES).subarray(-1))
    const [input] = checkpoints.withThose('job', [{ unit: 1, params: '{}' }])
    expect(input?.resumed?.buffer.byteLength).toBe(1)
  })

  it('of many units goes no faster than so many bytes a second, each in its turn', async () => {
    const { sent, save } = open()
    const big = 'x'.repeat(LIMITS.UNIT_CHECKPOINT_MAX_BYTES)
    for (let unit = 0; unit < 8; unit++) save(unit, big)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(sent.map(([unit]) => unit)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    const last = sent.at(-1)?.[2] ?? 0
    expect(last).toBeGreaterThanOrEqual((7 * 1_000 * big.length) / LIMITS.CHECKPOINTS_PER_SECOND_BYTES)
  })

  it('goes one at a time, to a submitter that reads', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const sent: number[] = []
    const send = async (_: string, unit: number) => {
      sent.push(unit)
      await promise
    }
    const checkpoints = new Checkpoints({ now: Date.now, send })
    checkpoints.connect(true)
    for (let unit = 0; unit < 4; unit++) checkpoints.save('job', unit, Buffer.from('1'))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(sent).toEqual([0])
    resolve()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(sent).toEqual([0, 1, 2, 3])
    checkpoints.stop()
  })

  it('waits while there is nobody to send it to', async () => {
    const { checkpoints, sent, save } = open()
    checkpoints.connect(false)
    save(1, 'a')
    await checkpoints.flush('job', [1])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(sent).toEqual([])
    checkpoints.connect(true)
    await vi.advanceTimersByTimeAsync(1)
    expect(sent.map(([unit]) => unit)).toEqual([1])
  })

  it('is sent before the unit goes, if it is new, and then forgotten', async () => {
    const { checkpoints, sent, save } = open()
    checkpoints.keep('job', 2, Buffer.from('theirs'))
    save(1, 'a')
    await vi.advanceTimersByTimeAsync(1)
    save(1, 'b')
    await checkpoints.flush('job', [1, 2, 3])
    expect(sent.map(([unit, state]) => [unit, state])).toEqual([
      [1, 'a'],
      [1, 'b'],
    ])
    await checkpoints.flush('job', [1, 2, 3])
    checkpoints.drop('job', [1])
    checkpoints.forget('other')
    const given = [1, 2].map((unit) => ({ unit, params: '' }))
    expect(checkpoints.withThose('job', given)).toEqual([
      given[0],
      { ...given[1], resumed: new Uint8Array(Buffer.from('theirs')) },
    ])
    checkpoints.forget('job')
    expect(checkpoints.withThose('job', given)).toEqual(given)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(sent.length).toBe(2)
  })

  it('is bounded: the oldest are lost', async () => {
    const { checkpoints } = open()
    const count = LIMITS.WORKER_CHECKPOINTS_MAX_BYTES / LIMITS.UNIT_CHECKPOINT_MAX_BYTES + 2
    const units = Array.from({ length: count }, (_, unit) => ({ unit, params: '' }))
    for (const { unit } of units) checkpoints.keep('job', unit, new Uint8Array(LIMITS.UNIT_CHECKPOINT_MAX_BYTES))
    const there = checkpoints
      .withThose('job', units)
      .flatMap(({ unit, resumed }) => (resumed === undefined ? [] : unit))
    expect(there).toEqual(Array.from({ length: count - 3 }, (_, i) => i + 3))
  })
})
