/** A desk by itself: what it says when it ends, and what it does not say to a submitter that does not listen. */

import { expect, it } from 'vitest'
import { memoryChannels } from '../../node/mesh/memory-channel.ts'
import { Desk } from '../../node/worker/desk.ts'
import { Outbox } from '../../node/worker/outbox.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { policySchema } from '../../protocol/manifest.ts'
import { type ToSubmitter, type ToWorker, toSubmitterSchema } from '../../protocol/work.ts'
import { until } from '../mesh/nodes.ts'
import { newSigner } from './submitter.ts'

const JOB = 'a'.repeat(52)
const signer = await newSigner()

function open() {
  const onError = () => undefined
  const now = () => performance.now()
  const release = () => undefined
  const needs = {
    key: '',
    runtime: 'js' as const,
    init: { source: '', seed: 0, cpus: 1, memoryMiB: 64, timeoutMs: 1_000 },
  }
  const admit = async () => ({ id: JOB, release, policy: policySchema.parse({}), needs })
  const outbox = new Outbox({ signer, now, onError })
  const desk = new Desk(
    { outbox, admit, onReady: () => undefined, isPaused: () => false, now, onError },
    { submitter: 'peer', slots: 1 },
  )
  const [near, far] = memoryChannels('peer')
  desk.serve(near).catch(onError)
  const heard: ToSubmitter[] = []
  const listen = async () => {
    for await (const frame of far) heard.push(decodeFrame(toSubmitterSchema, frame))
  }
  return { desk, heard, listen, say: (message: ToWorker) => far.send(encodeFrame(message)) }
}

it('that ends tells the results it has and gives back the rest first', async () => {
  const { desk, heard, listen, say } = open()
  const listening = listen()
  await say({ t: 'job', job: JOB, manifest: new Uint8Array(), signature: new Uint8Array() })
  await say({
    t: 'run',
    job: JOB,
    units: [
      [0, '0'],
      [1, '1'],
      [2, '2'],
    ],
  })
  await until(() => desk.queued() === 3)
  expect(desk.take(JOB, 1)?.units).toEqual([{ unit: 0, params: '0' }])
  desk.finish(JOB, [{ unit: 0, ok: true, value: '0' }])
  await desk.close('E_DRAINING')
  await listening
  expect(heard.map(({ t }) => t).sort()).toEqual(['accept', 'handback', 'results'])
  expect(heard.find(({ t }) => t === 'handback')).toMatchObject({ units: [1, 2], code: 'E_DRAINING' })
  expect(desk.idle).toBe(true)
})

it('does not pile up signs of life', async () => {
  const { desk, heard, listen } = open()
  const beats = Array.from({ length: 100 }, () => desk.beat())
  const listening = listen()
  await Promise.all(beats)
  await desk.close('E_DRAINING')
  await listening
  expect(heard.length).toBeLessThan(10)
})
