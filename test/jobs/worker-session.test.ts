/** What a submitter says to one worker: as few messages as will do, in the order it was decided. */

import { expect, it } from 'vitest'
import { type Beside, WorkerSession } from '../../node/jobs/worker-session.ts'
import { memoryChannels } from '../../node/mesh/memory-channel.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { signReceipt } from '../../protocol/receipt.ts'
import { compileSweep } from '../../protocol/sweep/generator.ts'
import { type Attempt, type ToWorker, toWorkerSchema } from '../../protocol/work.ts'
import { until } from '../mesh/nodes.ts'
import { newSigner } from '../worker/submitter.ts'

const SWEEP = compileSweep({ kind: 'points', points: [{ n: 1 }, { n: 2 }, { n: 3 }] })
const [JOB, OTHER] = ['a', 'b'].map((digit) => digit.repeat(52)) as [string, string]

/** What arrives of what is said in one turn. */
async function heardOf(
  say: (session: WorkerSession) => void,
  states = new Map<number, Uint8Array>(),
): Promise<string[]> {
  const [near, far] = memoryChannels('peer')
  const signed = { manifest: new Uint8Array(1), signature: new Uint8Array(1) }
  const session = new WorkerSession(
    {
      channel: near,
      jobOf: () => ({ signed, sweep: SWEEP }),
      fetchFiles: () => null,
      checkpoints: { keep: () => undefined, ended: () => undefined, of: (_, unit) => states.get(unit) },
      onEvent: () => undefined,
      onError: () => undefined,
    },
    { peer: 'peer', trust: 'member' },
  )
  say(session)
  session.leave()
  const heard: string[] = []
  for await (const frame of far) heard.push(wordsOf(decodeFrame(toWorkerSchema, frame)))
  return heard
}

const wordsOf = (message: ToWorker): string =>
  message.t === 'run' ? `run ${message.job[0]} ${message.units.length}` : `${message.t} ${message.job[0]}`

const units = (count: number) => Array.from({ length: count }, (_, unit): [number, string] => [unit, '1'])

it('gives what was granted in one turn in one message a job', async () => {
  const heard = await heardOf((session) => {
    session.run(JOB, units(2))
    session.run(JOB, units(3))
    session.run(OTHER, units(1))
  })
  expect(heard).toEqual(['job a', 'job b', 'run a 5', 'run b 1'])
})

it('takes back nothing before it was given', async () => {
  const heard = await heardOf((session) => {
    session.run(JOB, units(2))
    session.revoke(JOB, [0])
    session.run(JOB, units(1))
  })
  expect(heard).toEqual(['job a', 'run a 2', 'revoke a', 'run a 1'])
})

it('tells what a unit saved elsewhere before it gives the unit, and of no more than can be on its way', async () => {
  const state = new Uint8Array(LIMITS.UNIT_CHECKPOINT_MAX_BYTES)
  const one = await heardOf((session) => session.run(JOB, units(3)), new Map([[1, state]]))
  expect(one).toEqual(['job a', 'resume a', 'run a 3'])
  const many = new Map(units(256).map(([unit]) => [unit, state]))
  const heard = await heardOf((session) => session.run(JOB, units(256)), many)
  expect(heard.filter((words) => words === 'resume a').length * state.length).toBeLessThan(
    LIMITS.SESSION_UNSENT_MAX_BYTES / 2 + 2 * state.length,
  )
  expect(heard.at(-1)).toBe('run a 256')
})

it('fills no frame beyond its bound', async () => {
  const heard = await heardOf((session) => {
    session.run(JOB, units(LIMITS.FRAME_UNITS_MAX))
    session.run(JOB, units(1))
  })
  expect(heard).toEqual(['job a', `run a ${LIMITS.FRAME_UNITS_MAX}`, 'run a 1'])
})

it('keeps what is told of a unit once, though the files of others in its frame come later', async () => {
  const [near, far] = memoryChannels('peer')
  const signer = await newSigner()
  const kept: number[] = []
  const session = new WorkerSession(
    {
      channel: near,
      jobOf: () => undefined,
      fetchFiles: (_job, _peer, end) => (end.unit === 0 ? null : Promise.resolve(end)),
      checkpoints: { keep: () => undefined, ended: () => undefined, of: () => undefined },
      onEvent: (_event, beside?: Beside) => void kept.push(...(beside?.reports ?? []).map(({ unit }) => unit)),
      onError: () => undefined,
    },
    { peer: signer.peer, trust: 'member' },
  )
  const attempts = [0, 1, 2].map((unit): Attempt => ({ unit, ok: true, value: '1' }))
  const told = { exit: null, stdout: '', stderr: '', wallMs: 1, cpuMs: 1, peakMiB: 1, runtime: '', system: '' }
  const reports = attempts.map(({ unit }) => ({ unit, ...told }))
  const { signature } = await signReceipt(signer, JOB, attempts)
  await far.send(encodeFrame({ t: 'results', job: JOB, attempts, reports, signature }))
  await far.close()
  await session.serve()
  await until(() => kept.length >= attempts.length)
  expect(kept.toSorted()).toEqual([0, 1, 2])
})
