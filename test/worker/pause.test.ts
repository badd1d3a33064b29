/** The owner wins: a pause stops what runs within a second, hands everything back, and is not forgotten. */

import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { OwnerPause, type Pause } from '../../node/worker/owner-pause.ts'
import { digestOf } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { codeOf, until } from '../mesh/nodes.ts'
import { newSigner, Submitter, signJob } from './submitter.ts'
import { FOREVER, SQUARE, Workshop } from './workshop.ts'

/** Where others have the cores at the moment of a pause, the next may show how soon it takes effect. */
const PAUSES = 5

let shop: Workshop
beforeAll(async () => {
  shop = await Workshop.open()
  for (const source of [SQUARE, FOREVER]) shop.sources.set(digestOf(source), source)
})
afterEach(() => shop.stopWorkers())
afterAll(() => shop.close())

const signer = await newSigner()

describe('a worker that is paused', () => {
  it('stops what runs within a second, hands it back with what waits, takes nothing, and goes on when resumed', async () => {
    const worker = await shop.worker({ slots: 2 })
    const submitter = new Submitter(worker, signer)
    const job = await signJob(signer, FOREVER, { timeoutMs: 60_000 })
    await submitter.introduce(job)
    const handedBack = () => submitter.of('handback').flatMap(({ units }) => units)
    let soonest = Number.POSITIVE_INFINITY
    for (let pauses = 1; pauses <= PAUSES && soonest >= 1_000; pauses++) {
      worker.pause(false)
      await submitter.run(job, 5)
      await until(() => worker.facts().busy === 2)
      const began = performance.now()
      worker.pause(true)
      await until(() => handedBack().length === 5 * pauses)
      soonest = Math.min(soonest, performance.now() - began)
      await until(() => worker.facts().busy === 0)
      expect(worker.facts()).toMatchObject({ busy: 0, queued: 0, total: 0 })
    }
    expect(soonest).toBeLessThan(1_000)
    expect(new Set(submitter.of('handback').map(({ code }) => code))).toEqual(new Set(['E_PAUSED']))

    await submitter.run(job, 1, 5)
    await until(() => handedBack().at(-1) === 5)
    expect(submitter.of('handback').at(-1)).toMatchObject({ units: [5], code: 'E_PAUSED' })
    const other = await signJob(signer, SQUARE)
    await submitter.introduce(other)
    expect(await submitter.refused(other.id)).toMatchObject({ code: 'E_PAUSED', retryAfterMs: LIMITS.BUSY_RETRY_MS })

    worker.pause(false)
    await submitter.introduce(other)
    await submitter.run(other, 3)
    await until(() => submitter.attempts.length === 3)
    expect(submitter.ended).toBe(null)
  })
})

describe('a pause', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  function open(kept: Pause | null = null) {
    vi.useFakeTimers({ now: 1_000_000 })
    const told: boolean[] = []
    const store = {
      kept,
      full: false,
      read: () => store.kept,
      keep: (pause: Pause | null) => {
        if (store.full) throw new TalkootError('E_DISK_FULL', 'no room')
        store.kept = pause
      },
    }
    const errors: unknown[] = []
    const onError = (error: unknown) => errors.push(error)
    const pause = new OwnerPause({ store, wallClock: Date.now, onChange: (paused) => told.push(paused), onError })
    pause.start()
    return { pause, store, told, errors }
  }

  it('lasts until it is resumed, and says for how long it has been', () => {
    const { pause, store, told } = open()
    expect(pause.facts()).toBe(null)
    pause.pause(null)
    vi.advanceTimersByTime(50_000)
    expect(pause.facts()).toEqual({ forMs: 50_000, returnsInMs: null })
    pause.resume()
    pause.resume()
    expect([told, pause.facts(), store.kept]).toEqual([[true, false], null, null])
  })

  it('ends by itself after the time given, and a further pause counts from the first', () => {
    const { pause, told } = open()
    pause.pause(10_000)
    vi.advanceTimersByTime(4_000)
    pause.pause(20_000)
    expect(pause.facts()).toEqual({ forMs: 4_000, returnsInMs: 20_000 })
    vi.advanceTimersByTime(19_999)
    expect(told).toEqual([true, true])
    vi.advanceTimersByTime(1)
    expect([told.at(-1), pause.facts()]).toEqual([false, null])
  })

  it('does not end before its time because a clock was set back', () => {
    const { pause } = open()
    pause.pause(10_000)
    vi.advanceTimersByTime(9_000)
    vi.setSystemTime(1_000_000)
    vi.advanceTimersByTime(2_000)
    expect(pause.facts()).toMatchObject({ returnsInMs: 8_000 })
    vi.advanceTimersByTime(8_000)
    expect(pause.facts()).toBe(null)
  })

  it('outlives a restart', () => {
    const first = open()
    first.pause.pause(60_000)
    first.pause.stop()
    const again = open(first.store.kept)
    expect(again.told).toEqual([true])
    vi.advanceTimersByTime(60_000)
    expect(again.told).toEqual([true, false])
  })

  it('takes effect even where it cannot be kept', async () => {
    const { pause, store, told } = open()
    store.full = true
    expect(await codeOf(Promise.resolve().then(() => pause.pause(null)))).toBe('E_DISK_FULL')
    expect([told, pause.facts()]).toEqual([[true], { forMs: 0, returnsInMs: null }])
  })

  it('is at most so long', async () => {
    const { pause } = open()
    pause.pause(LIMITS.PAUSE_MAX_MS)
    const over = Promise.resolve().then(() => pause.pause(LIMITS.PAUSE_MAX_MS + 1))
    expect(await codeOf(over)).toBe('E_USAGE')
  })
})
