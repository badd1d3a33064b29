/** Units at a worker: run, handed back, revoked, kept for a submitter that is away; and submitters that mean harm. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../protocol/canonical.ts'
import { encodeFrame } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { checkReceipt } from '../../protocol/receipt.ts'
import { until } from '../mesh/nodes.ts'
import { newSigner, type SignedJob, Submitter, signJob } from './submitter.ts'
import { FOREVER, SQUARE, Workshop } from './workshop.ts'

const BIG = 'exports.default = () => "x".repeat(250000)'

let shop: Workshop
beforeAll(async () => {
  shop = await Workshop.open()
  for (const source of [SQUARE, FOREVER, BIG]) shop.sources.set(digestOf(source), source)
})
afterEach(() => shop.stopWorkers())
afterAll(() => shop.close())

const signer = await newSigner()

async function accepted(submitter: Submitter, source = SQUARE, policy: object = {}): Promise<SignedJob> {
  const job = await signJob(submitter.signer, source, policy)
  await submitter.introduce(job)
  await until(() => submitter.of('accept').some((accept) => accept.job === job.id))
  return job
}

const isRunning = (submitter: Submitter, units: number) => submitter.of('beat').at(-1)?.running === units

describe('a worker', () => {
  it('runs what it is given, before its job was answered or after, and signs for it', async () => {
    const submitter = new Submitter(await shop.worker({ slots: 2 }), signer)
    const job = await signJob(signer, SQUARE)
    await submitter.introduce(job)
    await submitter.run(job, 256)
    await submitter.run(job, 256, 256)
    await until(() => submitter.attempts.length === 512)
    const values = new Map(
      submitter.attempts.map((attempt) => [attempt.unit, attempt.ok ? attempt.value : attempt.code]),
    )
    expect(values).toEqual(new Map(Array.from({ length: 512 }, (_, n) => [n, String(n * n)])))
    for (const { attempts, signature } of submitter.of('results')) {
      expect(attempts.length).toBeLessThanOrEqual(LIMITS.FRAME_UNITS_MAX)
      await checkReceipt(shop.signer.peer, job.id, attempts, signature)
    }
  })

  it('gives signs of life, with what waits and what runs', async () => {
    const submitter = new Submitter(await shop.worker(), signer)
    const job = await accepted(submitter, FOREVER)
    await submitter.run(job, 3)
    await until(() => isRunning(submitter, 1))
    expect(submitter.of('beat').at(-1)).toEqual({ t: 'beat', slots: 1, queued: 2, running: 1 })
  })

  it('serves two submitters in turn', async () => {
    const worker = await shop.worker()
    const [one, two] = [new Submitter(worker, signer), new Submitter(worker, await newSigner())]
    const [first, second] = [await accepted(one), await accepted(two)]
    await one.run(first, 200)
    await two.run(second, 200)
    await until(() => one.attempts.length === 200 && two.attempts.length === 200)
  })

  it('stops a unit that is no longer wanted, and goes on with the next', async () => {
    const submitter = new Submitter(await shop.worker(), signer)
    const endless = await accepted(submitter, FOREVER)
    const job = await accepted(submitter)
    await submitter.run(endless, 2)
    await until(() => isRunning(submitter, 1))
    await submitter.say({ t: 'revoke', job: endless.id, units: [1] })
    await submitter.say({ t: 'revoke', job: endless.id, units: [0] })
    await submitter.run(job, 1)
    await until(() => submitter.attempts.length === 1)
    expect(submitter.of('results').map((results) => results.job)).toEqual([job.id])
  })

  it('lets a running unit be while another of its job is revoked', async () => {
    const worker = await shop.worker()
    const submitter = new Submitter(worker, signer)
    const job = await accepted(submitter, FOREVER, { timeoutMs: 1_500 })
    await submitter.run(job, 2)
    await until(() => worker.facts().busy === 1)
    await submitter.say({ t: 'revoke', job: job.id, units: [1] })
    await until(() => submitter.attempts.length === 1)
    expect(submitter.attempts).toMatchObject([{ unit: 0, ok: false, code: 'E_TIMEOUT' }])
  })

  it('lets one running unit be while another that runs is revoked', async () => {
    const worker = await shop.worker({ slots: 2 })
    const submitter = new Submitter(worker, signer)
    const job = await accepted(submitter, FOREVER, { timeoutMs: 1_500 })
    await submitter.run(job, 1)
    await submitter.run(job, 1, 1)
    await until(() => worker.facts().busy === 2)
    await submitter.say({ t: 'revoke', job: job.id, units: [1] })
    await until(() => submitter.attempts.some(({ unit }) => unit === 0))
    expect(submitter.attempts.find(({ unit }) => unit === 0)).toMatchObject({ ok: false, code: 'E_TIMEOUT' })
  })

  it('tells of parameters that are not JSON as the unit’s own failure', async () => {
    const submitter = new Submitter(await shop.worker(), signer)
    const job = await accepted(submitter)
    await submitter.say({
      t: 'run',
      job: job.id,
      units: [
        [0, '{"n":'],
        [1, '{"n":3}'],
      ],
    })
    await until(() => submitter.attempts.length === 2)
    expect(submitter.attempts).toMatchObject([
      { unit: 0, ok: false, blame: 'program' },
      { unit: 1, ok: true, value: '9' },
    ])
  })

  it('gives back what it has not begun and tells its last results when it stops', async () => {
    const worker = await shop.worker()
    const submitter = new Submitter(worker, signer)
    const job = await accepted(submitter)
    const endless = await accepted(submitter, FOREVER)
    await submitter.run(job, 20)
    await until(() => worker.facts().total === 20)
    await submitter.run(endless, 30)
    await until(() => isRunning(submitter, 1) && submitter.of('beat').at(-1)?.queued === 29)
    await worker.stop()
    await worker.stop()
    await until(() => submitter.ended === 'closed')
    expect(submitter.attempts).toHaveLength(20)
    const back = submitter.of('handback')
    expect(back.every(({ job, code }) => job === endless.id && code === 'E_DRAINING')).toBe(true)
    expect(back.flatMap(({ units }) => units).sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i))
    const late = new Submitter(worker, signer)
    await until(() => late.ended === 'E_DRAINING')
  })

  it('does not wait for ever for a submitter that does not read when it stops', async () => {
    const worker = await shop.worker()
    const submitter = new Submitter(worker, signer, { deaf: true })
    const job = await signJob(signer, SQUARE)
    await submitter.introduce(job)
    await submitter.run(job, 256)
    await until(() => worker.facts().total === 256)
    const began = performance.now()
    await worker.stop()
    expect(performance.now() - began).toBeLessThan(20 * LIMITS.WORKER_STOP_GRACE_MS)
  })
})

describe('units that are too many', () => {
  it('are handed back, and none is lost', async () => {
    const submitter = new Submitter(await shop.worker(), signer)
    const job = await accepted(submitter, FOREVER)
    const given = 10_240
    for (let from = 0; from < given; from += 256) await submitter.run(job, 256, from)
    const back = () => submitter.of('handback').reduce((sum, { units }) => sum + units.length, 0)
    // What is on its way counts on neither side.
    await until(() => isRunning(submitter, 1) && (submitter.of('beat').at(-1)?.queued ?? 0) + 1 + back() === given)
    expect(new Set(submitter.of('handback').map(({ code }) => code))).toEqual(new Set(['E_BUSY']))
    const kept = given - back()
    expect(kept).toBeLessThanOrEqual(LIMITS.WORKER_QUEUE_UNITS_MAX + 256)
    expect(kept).toBeGreaterThan(LIMITS.WORKER_QUEUE_UNITS_MAX - 256)
    expect(submitter.of('beat').at(-1)?.queued).toBeLessThanOrEqual(LIMITS.WORKER_QUEUE_UNITS_MAX)
  })

  it('are handed back when their parameters are long', async () => {
    const submitter = new Submitter(await shop.worker(), signer)
    const job = await accepted(submitter, FOREVER)
    const long = JSON.stringify({ text: 'x'.repeat(60_000) })
    const frames = Math.ceil(LIMITS.WORKER_QUEUE_MAX_BYTES / (16 * long.length)) + 2
    for (let frame = 0; frame < frames; frame++) {
      const units = Array.from({ length: 16 }, (_, i): [number, string] => [frame * 16 + i, long])
      await submitter.say({ t: 'run', job: job.id, units })
    }
    const queuedOf = () => submitter.of('beat').at(-1)?.queued ?? 0
    const back = () => submitter.of('handback').reduce((sum, { units }) => sum + units.length, 0)
    await until(() => isRunning(submitter, 1) && queuedOf() + 1 + back() === 16 * frames)
    expect(back()).toBeGreaterThan(0)
    const queued = queuedOf()
    expect(queued * long.length).toBeLessThanOrEqual(LIMITS.WORKER_QUEUE_MAX_BYTES)
    expect(queued * long.length).toBeGreaterThan(LIMITS.WORKER_QUEUE_MAX_BYTES / 2)
  })

  it('come for a job nobody introduced', async () => {
    const submitter = new Submitter(await shop.worker(), signer)
    const job = await signJob(signer, SQUARE)
    await submitter.run(job, 2)
    await submitter.say({ t: 'revoke', job: job.id, units: [0] })
    await submitter.say({ t: 'revoke', job: job.id, units: null })
    await until(() => submitter.of('handback').length === 1)
    expect(submitter.of('handback')[0]).toMatchObject({ job: job.id, units: [0, 1], code: 'E_NOT_FOUND' })
  })
})

describe('a submitter that goes away', () => {
  it('gets what ran meanwhile when it is back, and what waited is not run', async () => {
    const worker = await shop.worker()
    const submitter = new Submitter(worker, signer)
    const job = await accepted(submitter, FOREVER, { timeoutMs: 1_000 })
    await submitter.run(job, 5)
    await until(() => worker.facts().busy === 1)
    await submitter.leave()
    await until(() => worker.facts().total === 1)
    expect(worker.facts().queued).toBe(0)
    shop.ahead += LIMITS.ORPHAN_GRACE_MS - 5_000
    const back = new Submitter(worker, signer)
    await until(() => back.attempts.length === 1)
    expect(back.attempts).toMatchObject([{ unit: 0, ok: false, code: 'E_TIMEOUT' }])
    // What it had of the job is gone with the session.
    await back.run(job, 1)
    await until(() => back.of('handback').length === 1)
  })

  it('is forgotten after the grace, with its results', async () => {
    const worker = await shop.worker()
    const submitter = new Submitter(worker, signer)
    const job = await accepted(submitter, FOREVER, { timeoutMs: 1_000 })
    await submitter.run(job, 1)
    await until(() => worker.facts().busy === 1)
    await submitter.leave()
    await until(() => worker.facts().total === 1)
    shop.ahead += LIMITS.ORPHAN_GRACE_MS + 1
    const watcher = new Submitter(worker, await newSigner())
    await until(() => watcher.of('beat').length >= 2)
    const back = new Submitter(worker, signer)
    await until(() => back.of('beat').length >= 1)
    expect(back.attempts).toEqual([])
  })

  it('by opening another session ends the older one, and what waited there', async () => {
    const worker = await shop.worker()
    const older = new Submitter(worker, signer)
    const job = await accepted(older, FOREVER, { timeoutMs: 2_000 })
    await older.run(job, 100)
    await until(() => worker.facts().busy === 1)
    const newer = new Submitter(worker, signer)
    await until(() => older.ended === 'E_UNREACHABLE')
    expect(worker.facts().queued).toBe(0)
    await until(() => newer.attempts.length === 1)
    await expect(older.run(job, 1)).rejects.toMatchObject({ code: 'E_UNREACHABLE' })
    const good = await accepted(newer)
    await newer.run(good, 1, 2)
    await until(() => newer.attempts.length === 2)
  })
})

describe('a session that has been replaced', () => {
  it('is not read any further, whatever it still held', async () => {
    const worker = await shop.worker()
    const older = new Submitter(worker, signer, { deaf: true })
    const job = await signJob(signer, SQUARE)
    let said = 0
    const saying = (async () => {
      for (; ; said++) await older.run(job, 10)
    })().catch(() => undefined)
    const other = new Submitter(worker, await newSigner())
    await until(() => other.of('beat').length >= 1 && said > LIMITS.STREAM_CREDIT_FRAMES)
    const newer = new Submitter(worker, signer)
    await saying
    await until(() => newer.of('beat').length >= 1)
    expect(newer.of('handback')).toEqual([])
  })
})

describe('a submitter that means harm', () => {
  const malformed: [string, string, (job: SignedJob) => Uint8Array][] = [
    ['bytes that are no msgpack', 'E_FRAME', () => Uint8Array.of(0xc1, 1, 2)],
    ['a message of no known type', 'E_FRAME', () => encodeFrame({ t: 'shutdown' })],
    ['a message meant for submitters', 'E_FRAME', ({ id }) => encodeFrame({ t: 'accept', job: id })],
    ['a field too many', 'E_FRAME', ({ id }) => encodeFrame({ t: 'revoke', job: id, units: null, also: 1 })],
    ['a job id that is none', 'E_FRAME', () => encodeFrame({ t: 'revoke', job: '../..', units: null })],
    ['no units', 'E_FRAME', ({ id }) => encodeFrame({ t: 'run', job: id, units: [] })],
    [
      'more units than a frame may have',
      'E_FRAME',
      ({ id }) =>
        encodeFrame({
          t: 'run',
          job: id,
          units: Array.from({ length: LIMITS.FRAME_UNITS_MAX + 1 }, (_, i) => [i, '1']),
        }),
    ],
    ['a unit that is no number', 'E_FRAME', ({ id }) => encodeFrame({ t: 'run', job: id, units: [['0', '1']] })],
    ['a unit below zero', 'E_FRAME', ({ id }) => encodeFrame({ t: 'run', job: id, units: [[-1, '1']] })],
    [
      'parameters too long',
      'E_FRAME',
      ({ id }) => encodeFrame({ t: 'run', job: id, units: [[0, 'x'.repeat(LIMITS.PARAMS_MAX_BYTES + 1)]] }),
    ],
    [
      'parameters of too many bytes',
      'E_FRAME',
      ({ id }) => encodeFrame({ t: 'run', job: id, units: [[0, 'ü'.repeat(LIMITS.PARAMS_MAX_BYTES / 2 + 1)]] }),
    ],
    ['a frame over the limit', 'E_FRAME_TOO_BIG', () => new Uint8Array(LIMITS.FRAME_MAX_BYTES + 1)],
  ]
  it.each(malformed)('by sending %s loses its session, and another is served', async (_, code, make) => {
    const worker = await shop.worker()
    const [bad, good] = [new Submitter(worker, await newSigner()), new Submitter(worker, signer)]
    await bad.sayBytes(make(await accepted(bad)))
    await until(() => bad.ended === code)
    const job = await accepted(good)
    await good.run(job, 1, 3)
    await until(() => good.attempts.length === 1)
  })

  it('by asking without end and reading nothing is not read any further', async () => {
    const worker = await shop.worker()
    const deaf = new Submitter(worker, await newSigner(), { deaf: true })
    const job = await signJob(signer, SQUARE)
    let said = 0
    const saying = (async () => {
      for (; said < 1_000; said++) await deaf.run(job, 256)
    })().catch(() => undefined)
    const good = new Submitter(worker, signer)
    await until(() => good.of('beat').length >= 2)
    expect(said).toBeLessThan(20)
    deaf.listen()
    await until(() => said === 1_000)
    await saying
    await until(() => deaf.of('handback').length === 1_000)
  })

  it('by never taking its results makes the worker keep so many bytes of them and no more', async () => {
    const worker = await shop.worker({ slots: 2 })
    const deaf = new Submitter(worker, signer, { deaf: true })
    const job = await signJob(signer, BIG)
    await deaf.introduce(job)
    const units = Math.ceil((2 * LIMITS.OUTBOX_MAX_BYTES) / 250_000)
    await deaf.run(job, units)
    await until(() => worker.facts().total === units)
    deaf.listen()
    await until(() => deaf.attempts.some(({ unit }) => unit === units - 1))
    const bytes = deaf.attempts.length * 250_000
    // The frames in the channel are on top of what the outbox keeps.
    const channel = (LIMITS.STREAM_CREDIT_FRAMES + 1) * LIMITS.FRAME_MAX_BYTES
    expect(bytes).toBeLessThanOrEqual(LIMITS.OUTBOX_MAX_BYTES + channel)
    expect(bytes).toBeGreaterThan(LIMITS.OUTBOX_MAX_BYTES / 2)
  })

  it('in great numbers takes seats from each other, never from this machine itself', async () => {
    const worker = await shop.worker()
    const crowd: Submitter[] = []
    for (let i = 0; i < LIMITS.SESSIONS_PER_WORKER_MAX; i++) crowd.push(new Submitter(worker, await newSigner()))
    const tooMany = new Submitter(worker, await newSigner())
    await until(() => tooMany.ended === 'E_BUSY')
    const self = new Submitter(worker, signer, { role: 'self' })
    const job = await accepted(self)
    await self.run(job, 1, 2)
    await until(() => self.attempts.length === 1)
    // One that leaves makes room at once.
    await self.leave()
    await crowd[0]?.leave()
    const next = new Submitter(worker, await newSigner())
    await until(() => next.of('beat').length > 0)
    expect(next.ended).toBeNull()
  })
})
