/** Jobs that are held, and jobs that follow others: what is given out, what is not, and that it is remembered. */

import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { jobRequestSchema } from '../../protocol/api.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { codeOf, until } from '../mesh/nodes.ts'
import { BACK_TO_4 } from '../store/old-ledger.ts'
import { newSigner } from '../worker/submitter.ts'
import { Laboratory } from './laboratory.ts'
import { honest, scripted } from './scripted-worker.ts'

const THROWS = 'exports.default = () => { throw new Error("no") }'
const reasons = (lab: Laboratory, id: string) => lab.jobs.info(id).waiting.map(({ reason }) => reason)

it('a held job is taken back from its workers, given out to nobody, over a restart too, and goes on when released', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const peer = await newSigner()
  let frames = 0
  let revoked = 0
  const slow = scripted(peer, {
    onRun: () => {
      frames += 1
    },
    onMessage: (_, message) => {
      if (message.t === 'revoke') revoked += 1
    },
  })
  lab.mesh.enter(peer.peer, slow)
  const { id } = await lab.submit(100)
  await until(() => frames > 0)
  const held = lab.jobs.hold(id.slice(0, 10))
  expect(held).toMatchObject({ state: 'running', running: 0, waiting: [{ reason: 'held', units: 100 }] })
  expect(held.heldForMs).toBeLessThan(60_000)
  await until(() => revoked === 1)
  // With nothing to give out nobody is kept waiting.
  expect(lab.mesh.wanted).toBe(false)
  lab.wallAhead = 60_000
  expect(lab.jobs.hold(id).heldForMs).toBeGreaterThanOrEqual(60_000)
  const before = frames
  await lab.restart()
  expect(reasons(lab, id)).toEqual(['held'])
  expect(lab.jobs.info(id).waiting[0]?.sinceMs).toBeGreaterThanOrEqual(60_000)
  expect(frames).toBe(before)

  lab.mesh.leave(peer.peer)
  lab.mesh.enter(peer.peer, honest(peer))
  expect(lab.jobs.release(id)).toMatchObject({ heldForMs: null })
  expect(await lab.ended(id)).toMatchObject({ state: 'done', accepted: 100 })
  expect(lab.jobs.hold(id)).toMatchObject({ state: 'done', heldForMs: null })
})

it('a job follows another, and a third follows both, over a restart', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const first = await lab.submit(20)
  const second = await lab.submit(10, { after: [first.id.slice(0, 12)] })
  const third = await lab.submit(5, { after: [first.id, second.id] })
  expect(second.after).toEqual([first.id])
  expect(reasons(lab, first.id)).toEqual(['no-peer'])
  expect(reasons(lab, second.id)).toEqual(['dependency'])
  await lab.restart()
  expect(reasons(lab, third.id)).toEqual(['dependency'])
  const peer = await newSigner()
  const order: string[] = []
  lab.mesh.enter(
    peer.peer,
    scripted(peer, {
      onRun: async (act, run) => {
        order.push(run.job)
        await act.tell(run.job, act.square(run))
      },
    }),
  )
  expect(await lab.ended(third.id)).toMatchObject({ accepted: 5 })
  expect([...new Set(order)]).toEqual([first.id, second.id, third.id])
})

it.each([
  ['fails', async (lab: Laboratory, id: string) => void (await lab.ended(id))],
  ['is cancelled', async (lab: Laboratory, id: string) => void (await lab.jobs.cancel(id))],
])('a job whose predecessor %s waits for its user, who may let it go on', async (_, end) => {
  await using lab = await Laboratory.open()
  const bad = await lab.submit(1, { source: THROWS, retries: 0 })
  const good = await lab.submit(3)
  const next = await lab.submit(4, { after: [bad.id, good.id] })
  await end(lab, bad.id)
  await lab.ended(good.id)
  await until(() => reasons(lab, next.id)[0] === 'dependency-failed')
  await lab.restart()
  expect(reasons(lab, next.id)).toEqual(['dependency-failed'])
  lab.jobs.release(next.id)
  expect(await lab.ended(next.id)).toMatchObject({ accepted: 4 })
})

it('letting a job go on before all it follows have ended leaves it waiting for those', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const cancelled = await lab.submit(1)
  const running = await lab.submit(1)
  const next = await lab.submit(1, { after: [cancelled.id, running.id] })
  await lab.jobs.cancel(cancelled.id)
  expect(reasons(lab, next.id)).toEqual(['dependency-failed'])
  lab.jobs.hold(next.id)
  expect(reasons(lab, next.id)).toEqual(['held'])
  lab.jobs.release(next.id)
  expect(reasons(lab, next.id)).toEqual(['dependency'])
  await lab.jobs.cancel(running.id)
  expect(reasons(lab, next.id)).toEqual(['no-peer'])
})

it('a job cannot follow one that is not there, nor more than the bound', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  expect(await codeOf(lab.submit(1, { after: ['zzzz'] }))).toBe('E_NOT_FOUND')
  const request = lab.request(1)
  const after = Array.from({ length: LIMITS.JOB_AFTER_MAX + 1 }, () => 'a')
  expect(jobRequestSchema.safeParse({ ...request, after: after.slice(1) }).success).toBe(true)
  expect(jobRequestSchema.safeParse({ ...request, after }).success).toBe(false)
})

it('a ledger of the first version is brought up to date, with its jobs', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const { id } = await lab.submit(7)
  await lab.stop()
  const db = new DatabaseSync(`${lab.folder}/ledger.sqlite`)
  db.exec(`${BACK_TO_4} ALTER TABLE jobs DROP COLUMN held_ms; ALTER TABLE jobs DROP COLUMN waived;
    DROP TABLE unit_times; ALTER TABLE jobs DROP COLUMN wasted; ALTER TABLE evidence DROP COLUMN served;
    PRAGMA user_version = 1`)
  db.close()
  await lab.restart().catch(() => undefined)
  expect(lab.jobs.hold(id)).toMatchObject({ units: 7, waiting: [{ reason: 'held', units: 7 }] })
})
