/** Results on their way, over channels that break. */

import { expect, it } from 'vitest'
import { memoryChannels } from '../../node/mesh/memory-channel.ts'
import type { Channel } from '../../node/mesh/mesh.ts'
import { Outbox } from '../../node/worker/outbox.ts'
import { decodeFrame } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { UnitReport } from '../../protocol/report.ts'
import { type Attempt, toSubmitterSchema } from '../../protocol/work.ts'
import { until } from '../mesh/nodes.ts'
import { newSigner } from './submitter.ts'

const JOB = 'a'.repeat(52)
const signer = await newSigner()
const ends = (from: number, count: number, value = '1'): Attempt[] =>
  Array.from({ length: count }, (_, i) => ({ unit: from + i, ok: true, value }))

function open() {
  const errors: unknown[] = []
  return {
    errors,
    outbox: new Outbox({ signer, now: () => performance.now(), onError: (error) => errors.push(error) }),
  }
}

/** What comes out of a channel, frame by frame. */
function listen(channel: Channel): number[][] {
  const frames: number[][] = []
  const read = async () => {
    for await (const bytes of channel) {
      const message = decodeFrame(toSubmitterSchema, bytes)
      if (message.t === 'results') frames.push(message.attempts.map(({ unit }) => unit))
    }
  }
  read().catch(() => undefined)
  return frames
}

/** A channel whose sends wait until they are broken. */
function stuckChannel(): Channel & { waiting: number; breakDown(): void } {
  const broken = Promise.withResolvers<void>()
  broken.promise.catch(() => undefined)
  const [channel] = memoryChannels('peer')
  return Object.assign(channel, {
    waiting: 0,
    send() {
      this.waiting += 1
      return broken.promise
    },
    breakDown: () => broken.reject(new Error('the stream broke')),
  })
}

it('what a channel that broke did not take goes over the next one, first and in order', async () => {
  const { outbox, errors } = open()
  const stuck = stuckChannel()
  outbox.connect(stuck)
  outbox.add(JOB, ends(0, LIMITS.FRAME_UNITS_MAX))
  await until(() => stuck.waiting === 1)
  outbox.add(JOB, ends(LIMITS.FRAME_UNITS_MAX, 54))
  const [near, far] = memoryChannels('peer')
  const frames = listen(far)
  // The next is there before the first is known to be broken, and nothing more is added.
  outbox.connect(near)
  stuck.breakDown()
  const all = LIMITS.FRAME_UNITS_MAX + 54
  await until(() => frames.flat().length === all)
  expect(frames.flat()).toEqual(Array.from({ length: all }, (_, i) => i))
  expect(frames.map(({ length }) => length)).toEqual([LIMITS.FRAME_UNITS_MAX, 54])
  expect(errors).toHaveLength(1)
  await until(() => outbox.empty)
})

it('without a channel so many are kept, and the oldest go first', async () => {
  const { outbox } = open()
  const more = 1_000
  for (let from = 0; from < LIMITS.WORKER_QUEUE_UNITS_MAX + more; from += 100) outbox.add(JOB, ends(from, 100))
  const [near, far] = memoryChannels('peer')
  const frames = listen(far)
  outbox.connect(near)
  await outbox.flush()
  const kept = frames.flat()
  expect(kept).toHaveLength(LIMITS.WORKER_QUEUE_UNITS_MAX)
  expect(kept.at(-1)).toBe(kept.length - 1 + (kept[0] ?? 0))
  expect(kept[0]).toBeGreaterThanOrEqual(more)
})

it('what is put back counts against the bound again', async () => {
  const { outbox } = open()
  const stuck = stuckChannel()
  outbox.connect(stuck)
  outbox.add(JOB, ends(0, 256))
  await until(() => stuck.waiting === 1)
  outbox.connect(null)
  outbox.add(JOB, ends(256, LIMITS.WORKER_QUEUE_UNITS_MAX))
  stuck.breakDown()
  const [near, far] = memoryChannels('peer')
  const frames = listen(far)
  outbox.connect(near)
  await until(() => outbox.empty)
  expect(frames.flat()[0]).toBe(256)
  expect(frames.flat()).toHaveLength(LIMITS.WORKER_QUEUE_UNITS_MAX)
})

it('long values share frames as far as they fit', async () => {
  const { outbox } = open()
  const [near, far] = memoryChannels('peer')
  const frames = listen(far)
  outbox.add(JOB, ends(0, 5, JSON.stringify('x'.repeat(200_000))))
  outbox.connect(near)
  await until(() => frames.flat().length === 5)
  expect(frames).toEqual([[0, 1], [2, 3], [4]])
})

const reportOf = (unit: number, text: string): UnitReport => ({
  unit,
  exit: { code: 0, signal: null },
  stdout: text,
  stderr: text,
  wallMs: 1,
  cpuMs: 1,
  peakMiB: 1,
  runtime: 'command 1',
  system: 'Linux',
})

it('what units left goes with their ends, in as many frames as it needs', async () => {
  const { outbox, errors } = open()
  const [near, far] = memoryChannels('peer')
  const seen: { unit: number; stdout: string }[] = []
  const text = '€'.repeat(LIMITS.REPORT_TEXT_MAX_BYTES / 3)
  outbox.add(JOB, ends(0, 100), { reports: new Map(ends(0, 99).map(({ unit }) => [unit, reportOf(unit, text)])) })
  outbox.connect(near)
  const read = async () => {
    for await (const bytes of far) {
      const message = decodeFrame(toSubmitterSchema, bytes)
      if (message.t !== 'results') continue
      const units = new Set(message.attempts.map(({ unit }) => unit))
      for (const report of message.reports ?? []) if (units.has(report.unit)) seen.push(report)
    }
  }
  read().catch(() => undefined)
  await until(() => outbox.empty && seen.length === 99)
  expect(seen.map(({ unit, stdout }) => [unit, stdout === text])).toEqual(ends(0, 99).map(({ unit }) => [unit, true]))
  expect(errors).toEqual([])
})

it('for a submitter that is away no result is dropped as long as there are reports', async () => {
  const { outbox } = open()
  const text = 'x'.repeat(LIMITS.REPORT_TEXT_MAX_BYTES)
  const many = (2 * LIMITS.OUTBOX_MAX_BYTES) / (2 * text.length)
  for (let unit = 0; unit < many; unit++) {
    outbox.add(JOB, ends(unit, 1), { reports: new Map([[unit, reportOf(unit, text)]]) })
  }
  const [near, far] = memoryChannels('peer')
  const frames = listen(far)
  outbox.connect(near)
  await outbox.flush()
  expect(frames.flat()).toHaveLength(many)
})
