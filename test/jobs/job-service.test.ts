/** Jobs from submission to their end: durable, resumed, called off, and in the hands of many kinds of peers. */

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { digestOf } from '../../protocol/canonical.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Attempt, ToWorker } from '../../protocol/work.ts'
import { codeOf, until } from '../mesh/nodes.ts'
import { script } from '../runtimes/python-scripts.ts'
import { newSigner } from '../worker/submitter.ts'
import { Laboratory } from './laboratory.ts'
import { honest, scripted } from './scripted-worker.ts'

const SQUARES = (units: number) => Array.from({ length: units }, (_, n) => n * n)

it('goes on after a restart without running anything twice, and takes no notice of what peers still have', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const peer = await newSigner()
  const given = new Map<number, number>()
  let answers = 30
  const late: Attempt[] = []
  lab.mesh.enter(
    peer.peer,
    scripted(peer, {
      // Ends of the session before, told at the start of the next: two the submitter has, one it never saw.
      onOpen: async (act) => {
        if (late.length > 0) await act.tell(id, late.splice(0))
      },
      onRun: async (act, run) => {
        for (const [unit] of run.units) given.set(unit, (given.get(unit) ?? 0) + 1)
        if (answers <= 0) return
        answers -= run.units.length
        await act.tell(run.job, act.square(run))
      },
    }),
  )
  let id = ''
  ;({ id } = await lab.submit(100))
  await until(() => answers <= 0 && lab.jobs.info(id).accepted >= 30)
  await until(() => lab.jobs.info(id).running > 0)
  const before = lab.jobs.info(id)
  const done = new Set((await lab.rows(id)).map(({ unit }) => unit))
  late.push({ unit: 0, ok: true, value: '666' }, { unit: 99, ok: true, value: '666' })
  answers = Number.POSITIVE_INFINITY
  await lab.restart()
  expect(await lab.ended(id)).toMatchObject({ accepted: 100, executions: 100, failed: 0 })
  expect(before.accepted).toBe(done.size)
  for (const unit of done) expect(given.get(unit)).toBe(1)
  expect(await lab.values(id)).toEqual(SQUARES(100))
  expect((await lab.rows(id)).map(({ seq }) => seq)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
})

it('counts the deadline from the submission, across restarts and a clock that is set back', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const { id } = await lab.submit(10, { deadlineMs: 3_600_000 })
  const other = await lab.submit(10, { deadlineMs: 3_600_000 })
  await lab.stop()
  lab.wallAhead = -1_000_000
  await lab.restart().catch(() => undefined)
  expect(lab.jobs.info(id)).toMatchObject({ state: 'running', createdAgoMs: 0 })
  await lab.jobs.cancel(other.id)
  lab.wallAhead = 3_600_001
  await lab.restart()
  expect(await lab.ended(id)).toMatchObject({ state: 'done', failed: 10 })
  expect(await lab.values(id)).toEqual(Array(10).fill('E_DEADLINE'))
  expect(lab.jobs.info(other.id).state).toBe('cancelled')
})

it('waits for a deadline further away than a timer can wait, at rest', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const { id } = await lab.submit(1, { deadlineMs: 40 * 24 * 3_600_000 })
  const warnings: Error[] = []
  const onWarning = (warning: Error) => warnings.push(warning)
  process.on('warning', onWarning)
  const looks: unknown[] = []
  for await (const info of lab.jobs.watch(id, AbortSignal.timeout(600))) looks.push(info)
  process.off('warning', onWarning)
  expect(warnings).toEqual([])
  expect(looks.length).toBeLessThan(3)
})

it('asks a task’s own `agree`, each pair once, and ends with it', async () => {
  await using lab = await Laboratory.open({ slots: 1 })
  const peers = [await newSigner(), await newSigner()]
  // Each peer is off by a little of its own; one lies about every fourth unit.
  for (const [i, peer] of peers.entries()) {
    const onRun: Parameters<typeof scripted>[1]['onRun'] = (act, { job, units }) =>
      act.tell(
        job,
        units.map(([unit]) => ({
          unit,
          ok: true,
          value: String(i === 1 && unit % 4 === 0 ? -1 : unit + (i + 1) / 100),
        })),
      )
    lab.mesh.enter(peer.peer, scripted(peer, { onRun }))
  }
  const source = `exports.default = { run: ({ n }) => n, agree: (a, b) => Math.abs(a - b) < 0.5 }`
  const { id } = await lab.submit(40, {
    source,
    agree: { kind: 'function' },
    verify: { kind: 'quorum', agree: 2, of: 3 },
  })
  expect(await lab.ended(id)).toMatchObject({ accepted: 40, failed: 0 })
  for (const row of await lab.rows(id))
    expect(Math.abs(Number(row.status === 'accepted' && row.value) - row.unit)).toBeLessThan(0.5)
})

it('an `agree` that throws or loops agrees on nothing, and holds up no other job', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  for (const value of ['1', '2']) {
    const peer = await newSigner()
    const onRun: Parameters<typeof scripted>[1]['onRun'] = (act, { job, units }) =>
      act.tell(
        job,
        units.map(([unit]) => ({ unit, ok: true, value })),
      )
    lab.mesh.enter(peer.peer, scripted(peer, { onRun }))
  }
  const policy = { agree: { kind: 'function' }, verify: { kind: 'quorum', agree: 2, of: 2 }, timeoutMs: 300 }
  const task = (agree: string) => `exports.default = { run: () => 0, agree: () => { ${agree} } }`
  const [throws, loops, agrees] = await Promise.all(
    ['throw new Error("no")', 'for (;;);', 'return true'].map((agree) =>
      lab.submit(2, { ...policy, source: task(agree) }),
    ),
  )
  expect(await lab.ended(agrees?.id ?? '')).toMatchObject({ accepted: 2 })
  expect(await lab.ended(throws?.id ?? '')).toMatchObject({ failed: 2 })
  expect(await lab.values(loops?.id ?? '').then(() => lab.ended(loops?.id ?? ''))).toMatchObject({ failed: 2 })
  expect(await lab.values(throws?.id ?? '')).toEqual(['E_NO_QUORUM', 'E_NO_QUORUM'])
})

it('a full disk halts the hand-out and harms no result; with room again the job ends', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const peer = await newSigner()
  let runs = 0
  lab.mesh.enter(
    peer.peer,
    scripted(peer, {
      onRun: (act, run) => {
        runs += 1
        return act.tell(
          run.job,
          run.units.map(([unit]) => ({ unit, ok: true, value: JSON.stringify('x'.repeat(100) + unit) })),
        )
      },
    }),
  )
  const pages = Number(lab.ledger.db.prepare('PRAGMA page_count').get()?.page_count)
  lab.ledger.db.exec(`PRAGMA max_page_count = ${pages + 2}`)
  const { id } = await lab.submit(20_000)
  await until(() => lab.jobs.halted !== null)
  expect(lab.jobs.halted?.code).toBe('E_DISK_FULL')
  expect(lab.mesh.wanted).toBe(false)
  const halted = { runs, rows: (await lab.rows(id)).length }
  // Nothing that happens meanwhile gets the hand-out going.
  const stray = await newSigner()
  lab.mesh.enter(stray.peer, honest(stray))
  expect(lab.mesh.wanted).toBe(false)
  const more = await lab.submit(1)
  await lab.jobs.cancel(more.id)
  expect(lab.mesh.wanted).toBe(false)
  expect(lab.mesh.opened.get(stray.peer)).toBeUndefined()
  lab.mesh.leave(stray.peer)
  lab.ledger.db.exec('PRAGMA max_page_count = 1000000')
  expect(await lab.ended(id)).toMatchObject({ accepted: 20_000, failed: 0 })
  expect(runs).toBeGreaterThan(halted.runs)
  expect((await lab.rows(id)).length).toBeGreaterThan(halted.rows)
  expect(lab.jobs.halted).toBeNull()
})

it('tells workers when a job has ended, so that they keep none', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const peer = await newSigner()
  const heard: ToWorker[] = []
  lab.mesh.enter(
    peer.peer,
    scripted(peer, {
      onMessage: (_, message) => void heard.push(message),
      onRun: (act, run) => act.tell(run.job, act.square(run)),
    }),
  )
  const open = await lab.submit(1, { require: 'peer.cpus > 100' })
  const [first, second] = [await lab.submit(3), await lab.submit(3)]
  await Promise.all([lab.ended(first.id), lab.ended(second.id)])
  const revoked = () =>
    heard.flatMap((message) => (message.t === 'revoke' && message.units === null ? [message.job] : []))
  await until(() => revoked().length === 2)
  expect(new Set(revoked())).toEqual(new Set([first.id, second.id]))
  expect(heard.some(({ job }) => job === open.id)).toBe(false)
})

it('finds a peer again that offered nothing when it came', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const peer = await newSigner()
  lab.mesh.enter(peer.peer, honest(peer), { ad: { cpus: 0 } })
  const { id } = await lab.submit(5)
  expect(lab.mesh.opened.get(peer.peer)).toBeUndefined()
  lab.mesh.advertise(peer.peer, { cpus: 2 })
  expect(await lab.ended(id)).toMatchObject({ accepted: 5 })
})

it('gives a job that follows on another out at once', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const peer = await newSigner()
  lab.mesh.enter(peer.peer, honest(peer))
  await lab.ended((await lab.submit(1)).id)
  // Not at the next retry of a session that ended with the job before: that would be none sooner. Others may have the cores at times.
  let soonest = Number.POSITIVE_INFINITY
  for (let tries = 0; tries < 10; tries++) {
    const began = performance.now()
    const { id } = await lab.jobs.submit(lab.describe(1), { queue: false })
    await until(() => lab.jobs.info(id).state === 'done')
    soonest = Math.min(soonest, performance.now() - began)
  }
  expect(soonest).toBeLessThan(LIMITS.SESSION_RETRY_MIN_MS * 0.5)
})

it('refuses what cannot be run before anything is kept', async () => {
  await using lab = await Laboratory.open()
  const good = lab.describe(1)
  const attempt = (changes: object, queue = true) => codeOf(lab.jobs.submit({ ...good, ...changes }, { queue }))
  expect(await attempt({ policy: { ...good.policy, require: 'peer.cpus >' } })).toBe('E_EXPRESSION')
  expect(await attempt({ policy: { ...good.policy, rank: '"text"' } })).toBe('E_EXPRESSION')
  expect(await attempt({ task: { ...good.task, digest: digestOf('unknown') } })).toBe('E_JOB_INVALID')
  expect(await attempt({ policy: { ...good.policy, require: 'peer.cpus > 100' } }, false)).toBe('E_JOB_UNPLACEABLE')
  const source = Buffer.from(script('print(1)'))
  const task = { runtime: 'python', digest: lab.blobs.put(source), bytes: source.length } as const
  await expect(lab.jobs.submit({ ...good, task }, { queue: false })).rejects.toThrow(
    'none runs Python: `talkoot up --python members`',
  )
  expect(lab.jobs.list()).toEqual([])
  const values = Array.from({ length: 60_000 }, (_, i) => `value ${i}`)
  expect(await attempt({ sweep: { kind: 'product', axes: [['n', { kind: 'list', values }]] } })).toBe('E_JOB_INVALID')
})

it('takes so many jobs at once and no more, however they come', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const codes = await Promise.all(Array.from({ length: LIMITS.JOBS_ACTIVE_MAX + 20 }, () => codeOf(lab.submit(1))))
  expect(codes.filter((code) => code === 'no error')).toHaveLength(LIMITS.JOBS_ACTIVE_MAX)
  expect(lab.jobs.counts()).toEqual({ running: LIMITS.JOBS_ACTIVE_MAX, done: 0, cancelled: 0 })
  const [job] = lab.jobs.list()
  expect(lab.jobs.info(job?.id.slice(0, 20) ?? '').id).toBe(job?.id)
  expect(() => lab.jobs.info('')).toThrow(expect.objectContaining({ code: 'E_NOT_FOUND' }))
  expect(() => lab.jobs.info('%')).toThrow(expect.objectContaining({ code: 'E_NOT_FOUND' }))
  expect(() => lab.jobs.info(job?.id.slice(0, 1) ?? '')).toThrow(expect.objectContaining({ code: 'E_NOT_FOUND' }))
})

it('starts although one of its jobs has lost its rows, and calls that one off when asked', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const text = 'n\n1\n2\n'
  const blob = lab.blobs.put(Buffer.from(text))
  const rows = { kind: 'rows' as const, blob, bytes: text.length, count: 2, format: 'csv' as const }
  const { id } = await lab.jobs.submit({ ...lab.describe(1), sweep: rows }, { queue: true })
  const other = await lab.submit(4)
  rmSync(join(lab.folder, 'blobs', blob))
  await lab.restart()
  const peer = await newSigner()
  lab.mesh.enter(peer.peer, honest(peer))
  expect(await lab.ended(other.id)).toMatchObject({ accepted: 4 })
  expect(lab.jobs.info(id).state).toBe('running')
  expect(await lab.jobs.cancel(id)).toMatchObject({ state: 'cancelled' })
})

it('a watcher sees each job to its end and stops when told', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const { id } = await lab.submit(1)
  const stop = new AbortController()
  const states: string[] = []
  const watching = (async () => {
    for await (const info of lab.jobs.watch(id, stop.signal)) states.push(`${info.state} ${info.waiting[0]?.reason}`)
  })()
  await until(() => states.length === 1)
  const silent = await newSigner()
  lab.mesh.enter(silent.peer, scripted(silent, {}), { ad: { cpus: 0 } })
  lab.mesh.advertise(silent.peer, { cpus: 1 })
  // Nothing was decided, yet it is no longer waiting.
  await until(() => states.at(-1) === 'running undefined')
  stop.abort()
  await watching
  expect(states[0]).toBe('running no-peer')
})
