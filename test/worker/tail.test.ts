/** What a worker does so that a job ends soon: slots share what is left, copies not wanted end, results flow. */

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { digestOf } from '../../protocol/canonical.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { until } from '../mesh/nodes.ts'
import { newSigner, type SignedJob, Submitter, signJob } from './submitter.ts'
import { FOREVER, SQUARE, Workshop } from './workshop.ts'

/** Nothing at first, then for ever. */
const THEN_FOREVER = 'exports.default = ({ n }) => { while (n >= 300) { } return n }'
/** About 10 ms a unit. */
const SHORT =
  'exports.default = ({ n }) => { let s = 0; for (let i = 0; i < 2.5e6; i++) s = (s + i) % 7; return n + 0 * s }'

let shop: Workshop
beforeAll(async () => {
  shop = await Workshop.open()
  for (const source of [SQUARE, FOREVER, THEN_FOREVER, SHORT]) shop.sources.set(digestOf(source), source)
})
afterEach(() => shop.stopWorkers())
afterAll(() => shop.close())

async function accepted(submitter: Submitter, source: string): Promise<SignedJob> {
  const job = await signJob(submitter.signer, source)
  await submitter.introduce(job)
  await until(() => submitter.of('accept').some((answer) => answer.job === job.id))
  return job
}

const running = (submitter: Submitter): number => submitter.of('beat').at(-1)?.running ?? 0

it('a unit not wanted any more is ended in its own slot; what the others run goes on', async () => {
  const submitter = new Submitter(await shop.worker({ slots: 2 }), await newSigner())
  const job = await accepted(submitter, FOREVER)
  await submitter.run(job, 2)
  await until(() => running(submitter) === 2)
  await submitter.say({ t: 'revoke', job: job.id, units: [0] })
  await until(() => running(submitter) === 1)
  await submitter.run(job, 1, 2)
  await until(() => running(submitter) === 2)
  expect(submitter.of('handback')).toEqual([])
  await submitter.say({ t: 'revoke', job: job.id, units: [1, 2] })
  await until(() => running(submitter) === 0)
})

it('no slot takes what another would begin sooner', async () => {
  const worker = await shop.worker({ slots: 2 })
  const submitter = new Submitter(worker, await newSigner())
  const job = await accepted(submitter, THEN_FOREVER)
  // Of units that take nothing a slot takes many at a time.
  await submitter.run(job, 256)
  await until(() => worker.facts().total === 256)
  await submitter.run(job, 2, 300)
  await until(() => worker.facts().busy === 2)
  await submitter.say({ t: 'revoke', job: job.id, units: null })
})

it('results of short units gather, the last go at once, and they tell how long a unit was here', async () => {
  const worker = await shop.worker({ slots: 1 })
  const submitter = new Submitter(worker, await newSigner())
  const job = await accepted(submitter, SHORT)
  const began = performance.now()
  await submitter.run(job, 200)
  await until(() => submitter.attempts.length === 200)
  const tookMs = performance.now() - began
  const frames = submitter.of('results')
  expect(frames.length).toBeLessThan(3 + tookMs / LIMITS.RESULTS_INTERVAL_MS)
  const held = frames.flatMap((frame) => (frame.held === undefined ? [] : [frame.held]))
  expect(held).toMatchObject([[0, expect.any(Number)]])
  expect(held[0]?.[1]).toBeLessThanOrEqual(tookMs)
})
