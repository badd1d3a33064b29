/** What a unit writes while it runs: for its submitter, the last of it, until it ends. */

import { expect, it } from 'vitest'
import { memoryChannels } from '../../node/mesh/memory-channel.ts'
import type { Channel } from '../../node/mesh/mesh.ts'
import { LiveOutput, LiveOutputs, Ring } from '../../node/worker/live-output.ts'
import { Tails } from '../../node/worker/tails.ts'
import { digestOf } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { type TailAnswer, tailAnswerSchema } from '../../protocol/tail.ts'

const JOB = digestOf('job')
const bytes = (text: string): Uint8Array => Buffer.from(text)
const said = (answer: TailAnswer | undefined): string =>
  answer?.t === 'out' ? `${answer.stream} ${Buffer.from(answer.bytes)}` : (answer?.t ?? 'over')

function laboratory() {
  const live = new LiveOutputs()
  const output = new LiveOutput()
  output.begin([7, 8])
  const over = live.add('submitter', JOB, output)
  const tails = new Tails({ live })
  const ask = async (submitter: string, request: object) => {
    const [near, far] = memoryChannels(submitter)
    const served = tails.serve(far, submitter)
    await near.send(encodeFrame(request))
    return { near, served, answers: answersOf(near) }
  }
  return { output, over, tails, ask }
}

async function* answersOf(channel: Channel): AsyncGenerator<string> {
  for await (const frame of channel) yield said(decodeFrame(tailAnswerSchema, frame))
}

it('is told from what there is on, as it comes, to the end of the unit and no further', async () => {
  const { output, over, ask } = laboratory()
  output.add(7, 'stdout', bytes('before'))
  output.add(8, 'stdout', bytes('of another'))
  const { answers, served } = await ask('submitter', { job: JOB, unit: 7 })
  expect((await answers.next()).value).toBe('stdout before')
  const next = answers.next()
  output.add(7, 'stderr', bytes('later'))
  expect((await next).value).toBe('stderr later')
  output.end(7)
  output.add(7, 'stdout', bytes('too late'))
  expect([(await answers.next()).value, (await answers.next()).done]).toEqual(['end', true])
  await served
  over()
  const after = await ask('submitter', { job: JOB, unit: 8 })
  expect((await after.answers.next()).value).toBe('absent')
})

it('is told to nobody else, and to nobody who does not speak the protocol', async () => {
  const { output, ask } = laboratory()
  output.add(7, 'stdout', bytes('secret'))
  expect((await (await ask('other', { job: JOB, unit: 7 })).answers.next()).value).toBe('absent')
  const rubbish = await ask('submitter', { job: JOB, unit: 7, more: true })
  const code = await rubbish.answers.next().catch((error: unknown) => TalkootError.from(error).code)
  expect(code).toBe('E_FRAME')
})

it('keeps the last of it only, whoever reads how slowly', async () => {
  const ring = new Ring()
  const mark = (n: number) => bytes(String(n).padStart(1_024, '0'))
  for (let n = 0; n < 1_000; n++) ring.add({ stream: 'stdout', bytes: mark(n) })
  ring.add({ stream: 'stderr', bytes: bytes('x'.repeat(10 * LIMITS.LOG_RING_BYTES)) })
  ring.add({ stream: 'stdout', bytes: mark(1_000) })
  ring.end()
  const read: number[] = []
  for await (const { bytes: piece } of ring.read(new AbortController().signal)) read.push(piece.length)
  expect(read).toEqual([1_024])
  expect(LIMITS.LOG_RING_BYTES).toBeGreaterThan(1_024)
})

it('is followed by so many at a time, and by another when one has gone', async () => {
  const { ask } = laboratory()
  const all = await Promise.all(
    Array.from({ length: LIMITS.LOG_TAILS_MAX }, () => ask('submitter', { job: JOB, unit: 7 })),
  )
  const refused = await ask('submitter', { job: JOB, unit: 7 })
  const code = await refused.answers.next().catch((error: unknown) => TalkootError.from(error).code)
  expect(code).toBe('E_BUSY')
  await all[0]?.near.close()
  await all[0]?.served
  const { answers, near } = await ask('submitter', { job: JOB, unit: 8 })
  const waits = await Promise.race([
    answers.next().then(() => 'told'),
    new Promise((resolve) => setImmediate(resolve, 'waits')),
  ])
  expect(waits).toBe('waits')
  for (const { near: open } of all) await open.close()
  await near.close()
})
