/** The part of the zoo that takes peers which behave as a test says: each reason as `explain` tells it. */

import { expect, it } from 'vitest'
import { jobExplanationSchema, peerExplanationSchema, unitExplanationSchema } from '../../protocol/explanation.ts'
import type { Reason } from '../../protocol/reasons.ts'
import { until } from '../mesh/nodes.ts'
import { newSigner } from '../worker/submitter.ts'
import { Laboratory } from './laboratory.ts'
import { honest, scripted } from './scripted-worker.ts'

const SLOW_AGREE = `
exports.default = { run: ({ n }) => n, agree: () => { const end = Date.now() + 1; for (;;) if (Math.random() > 2) return true } }`

/** Waits until the job says so; what it then says of itself, of its last unit, and of one peer. */
async function explained(lab: Laboratory, id: string, reason: Reason, peer?: string) {
  await until(() => lab.jobs.explain.job(id).waiting.some((entry) => entry.reason === reason))
  const whole = jobExplanationSchema.parse(lab.jobs.explain.job(id))
  const unit = unitExplanationSchema.parse(lab.jobs.explain.unit(id, whole.units - 1))
  expect(unit).toMatchObject({ state: 'waiting', runningMs: null, waiting: { reason } })
  expect(lab.jobs.info(id).waiting.map((entry) => entry.reason)).toContain(reason)
  const of = peer === undefined ? null : peerExplanationSchema.parse(lab.jobs.explain.peer(peer, []))
  return { whole, unit, peer: of }
}

it('backoff: a machine that hands its units back rests, and the code is told', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const tired = await newSigner()
  lab.mesh.enter(
    tired.peer,
    scripted(tired, {
      onRun: (act, { job, units }) => act.say({ t: 'handback', job, units: units.map(([n]) => n), code: 'E_DRAINING' }),
    }),
  )
  const { id } = await lab.submit(3)
  const { whole, peer } = await explained(lab, id, 'backoff', tired.peer)
  expect(whole.peers.idle[0]).toMatchObject({ reason: 'backoff', peers: 1, codes: ['E_DRAINING'] })
  expect(whole.peers.idle[0]?.returnsInMs).toBeGreaterThan(0)
  expect(peer).toMatchObject({ state: 'idle', idle: { reason: 'backoff' }, jobs: [{ job: id, code: 'E_DRAINING' }] })
})

it('refused: the peer says by which code', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const stern = await newSigner()
  const refuse = { t: 'refuse', code: 'E_ROLE', message: 'no', retryAfterMs: null }
  lab.mesh.enter(stern.peer, async (channel) => {
    await scripted(stern, { onMessage: (act, { job }) => act.say({ ...refuse, job }) })(channel)
  })
  const { id } = await lab.submit(3)
  const { peer } = await explained(lab, id, 'refused', stern.peer)
  expect(peer?.jobs[0]).toMatchObject({ code: 'E_ROLE', idle: { reason: 'refused', mover: 'peer' } })
})

it('untrusted: strangers that run no work of strangers, and a peer that was outvoted', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const [liar, ...others] = await Promise.all([newSigner(), newSigner(), newSigner()])
  lab.mesh.enter('stranger', async () => undefined, { role: 'stranger', ad: { strangers: false } })
  const { id } = await lab.submit(200, { verify: { kind: 'quorum', agree: 2, of: 3 } })
  await explained(lab, id, 'untrusted')
  lab.mesh.enter(
    liar.peer,
    scripted(liar, {
      onRun: (act, run) =>
        act.tell(
          run.job,
          act.square(run).map((end) => ({ ...end, ok: true, value: '666' })),
        ),
    }),
  )
  const slow = (signer: (typeof others)[number]) =>
    scripted(signer, {
      onRun: async (act, run) => {
        if (lab.jobs.explain.peer(liar.peer, []).idle?.reason !== 'untrusted') await act.tell(run.job, act.square(run))
      },
    })
  for (const other of others) lab.mesh.enter(other.peer, slow(other))
  await until(() => lab.jobs.explain.peer(liar.peer, []).idle?.reason === 'untrusted')
  for (const other of others) lab.mesh.leave(other.peer)
  const { whole, peer } = await explained(lab, id, 'untrusted', liar.peer)
  expect(whole.peers.idle).toMatchObject([{ reason: 'untrusted', peers: 2 }, { reason: 'no-cores' }])
  expect(peer?.jobs[0]?.outvoted).toBeGreaterThanOrEqual(3)
})

it('comparing: while the task’s own function is at it', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const [one, two] = await Promise.all([newSigner(), newSigner()])
  const says = (signer: typeof one, add: number) =>
    scripted(signer, {
      onRun: (act, run) =>
        act.tell(
          run.job,
          run.units.map(([unit]) => ({ unit, ok: true, value: String(unit + add) })),
        ),
    })
  lab.mesh.enter(one.peer, says(one, 0))
  lab.mesh.enter(two.peer, says(two, 0.5))
  const { id } = await lab.submit(1, {
    source: SLOW_AGREE,
    verify: { kind: 'quorum', agree: 2, of: 2 },
    agree: { kind: 'function' },
    timeoutMs: 5_000,
  })
  const { unit } = await explained(lab, id, 'comparing')
  expect(unit.attempts.map(({ holding }) => holding)).toEqual(['voiced', 'voiced'])
  await lab.jobs.cancel(id)
  expect(lab.jobs.explain.unit(id, 0)).toMatchObject({ state: 'given-up', waiting: null, attempts: [] })
})

it('connecting: a peer that is known and cannot be reached for work yet', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  lab.mesh.enter('far', (channel) => channel.close())
  const { id } = await lab.submit(3)
  const { whole, peer } = await explained(lab, id, 'connecting', 'far')
  expect(whole.peers.idle).toMatchObject([{ reason: 'connecting', names: ['far'] }, { reason: 'no-cores' }])
  expect(peer).toMatchObject({ idle: { reason: 'connecting' } })
})

it('ledger-halted: while nothing can be written nothing is given out, and every unit says so', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const peer = await newSigner()
  lab.mesh.enter(peer.peer, honest(peer))
  const write = lab.ledger.transaction.bind(lab.ledger)
  let full = false
  lab.ledger.transaction = (work) =>
    write(() => {
      if (full) throw Object.assign(new Error('full'), { errcode: 13 })
      return work()
    })
  const done = await lab.submit(3)
  await lab.ended(done.id)
  expect(peerExplanationSchema.parse(lab.jobs.explain.peer(peer.peer, []))).toMatchObject({
    idle: { reason: 'no-work' },
  })
  const { id } = await lab.submit(100_000)
  full = true
  const { whole } = await explained(lab, id, 'ledger-halted', peer.peer)
  expect(whole.waiting.map(({ reason, mover }) => [reason, mover])).toEqual([['ledger-halted', 'owner']])
  full = false
  await until(() => lab.jobs.explain.job(id).waiting.every(({ reason }) => reason !== 'ledger-halted'))
})

it('a unit that was decided tells by whom and what, of a job that ended as well', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const peer = await newSigner()
  lab.mesh.enter(peer.peer, honest(peer))
  const { id } = await lab.submit(4)
  await lab.ended(id)
  const unit = unitExplanationSchema.parse(lab.jobs.explain.unit(id, 3))
  expect(unit).toMatchObject({
    state: 'decided',
    params: { n: 3 },
    outcome: { status: 'accepted', value: 9, peers: [peer.peer] },
    waiting: null,
  })
  expect(() => lab.jobs.explain.unit(id, 4)).toThrow('0 to 3')
  expect(jobExplanationSchema.parse(lab.jobs.explain.job(id))).toMatchObject({ state: 'done', waiting: [] })
})
