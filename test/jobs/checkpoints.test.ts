/** Who goes on from what: with results that are checked, nobody from what another peer has saved. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Checkpoints } from '../../node/jobs/checkpoints.ts'
import { CheckpointFile } from '../../node/store/checkpoint-file.ts'
import { digestOf } from '../../protocol/canonical.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { policySchema } from '../../protocol/manifest.ts'
import type { ToWorker } from '../../protocol/work.ts'
import { until } from '../mesh/nodes.ts'
import { newSigner } from '../worker/submitter.ts'
import { Laboratory } from './laboratory.ts'
import { type Act, scripted } from './scripted-worker.ts'

type Run = Extract<ToWorker, { t: 'run' }>

const text = (state: Uint8Array) => Buffer.from(state).toString()

/** What each peer was told: `resume 3 "state"`, `run 0 1 2`. */
type Told = Map<string, string[]>

async function open(onRun: (name: string, act: Act, run: Run) => Promise<void>) {
  const lab = await Laboratory.open({ slots: 0 })
  const told: Told = new Map()
  const enter = async (name: string): Promise<string> => {
    const signer = await newSigner()
    const words: string[] = []
    told.set(name, words)
    const behave = scripted(signer, {
      onMessage: (_, message) => {
        if (message.t === 'resume') words.push(`resume ${message.unit} ${text(message.state)}`)
        if (message.t === 'run') words.push(`run ${message.units.map(([unit]) => unit).join(' ')}`)
      },
      onRun: (act, run) => onRun(name, act, run),
    })
    lab.mesh.enter(signer.peer, behave, { ad: { cpus: 1 } })
    return signer.peer
  }
  return { lab, told, enter }
}

const saveAll = async ({ say }: Act, { job, units }: Run, state: string): Promise<void> => {
  for (const [unit] of units) await say({ t: 'checkpoint', job, unit, state: Buffer.from(`${state}${unit}`) })
}

const giveBack = ({ say }: Act, { job, units }: Run): Promise<void> =>
  say({ t: 'handback', job, units: units.map(([unit]) => unit), code: 'E_PAUSED' })

it('without checks, a unit goes on anywhere from what it saved last, and is told of it before it is given', async () => {
  const { lab, told, enter } = await open(async (name, act, run) => {
    if (name !== 'first') return act.tell(run.job, act.square(run))
    await saveAll(act, run, 'a')
    await saveAll(act, run, 'b')
    await giveBack(act, run)
  })
  await using _ = lab
  await enter('first')
  const { id } = await lab.submit(1)
  await until(() => told.get('first')?.length === 1)
  await enter('second')
  await lab.ended(id)
  expect(told.get('second')).toEqual(['resume 0 b0', 'run 0'])
})

it('of a peer that is lost, too', async () => {
  const { lab, told, enter } = await open(async (name, act, run) => {
    if (name !== 'first') return act.tell(run.job, act.square(run))
    await saveAll(act, run, 'a')
    act.channel.abort('E_UNREACHABLE', 'the cable')
  })
  await using _ = lab
  const first = await enter('first')
  const { id } = await lab.submit(1)
  await until(() => told.get('first')?.length === 1)
  lab.mesh.leave(first)
  await enter('second')
  await lab.ended(id)
  expect(told.get('second')).toEqual(['resume 0 a0', 'run 0'])
})

it('over a restart of the submitter, once', async () => {
  const { lab, told, enter } = await open(async (name, act, run) => {
    if (name !== 'second') await saveAll(act, run, name)
    if (name === 'third') await act.tell(run.job, act.square(run))
  })
  await using _ = lab
  const first = await enter('first')
  const { id } = await lab.submit(1)
  await until(() => lab.jobs.explain.unit(id, 0).checkpoint !== null)
  lab.mesh.leave(first)
  await lab.restart()
  expect(lab.jobs.explain.unit(id, 0).checkpoint).toMatchObject({ peer: first, bytes: 'first0'.length })
  const second = await enter('second')
  await until(() => told.get('second')?.length === 2)
  lab.mesh.leave(second)
  // Killed, it would have left none: what is on the disk was taken.
  expect(existsSync(join(lab.folder, 'checkpoints'))).toBe(false)
  await lab.restart()
  await enter('third')
  await lab.ended(id)
  const resumed = ['resume 0 first0', 'run 0']
  expect([told.get('second'), told.get('third')]).toEqual([resumed, resumed])
  await lab.restart()
  expect(existsSync(join(lab.folder, 'checkpoints'))).toBe(false)
})

it('with checks, only the peer that saved it goes on from it', async () => {
  const given = new Map<string, number>()
  const { lab, told, enter } = await open(async (name, act, run) => {
    const count = (given.get(name) ?? 0) + 1
    given.set(name, count)
    if (count > 1) return act.tell(run.job, act.square(run))
    await saveAll(act, run, name)
    await giveBack(act, run)
  })
  await using _ = lab
  await Promise.all(['first', 'second'].map(enter))
  const { id } = await lab.submit(1, { verify: { kind: 'quorum', agree: 2, of: 2 } })
  await lab.ended(id)
  expect(told).toEqual(
    new Map([
      ['first', ['run 0', 'resume 0 first0', 'run 0']],
      ['second', ['run 0', 'resume 0 second0', 'run 0']],
    ]),
  )
})

it('after a failure a unit begins anew', async () => {
  let failed = false
  const { lab, told, enter } = await open(async (_, act, run) => {
    if (failed) return act.tell(run.job, act.square(run))
    failed = true
    await saveAll(act, run, 'a')
    const end = { ok: false, code: 'E_UNIT_CRASHED', message: '', blame: 'machine' } as const
    await act.tell(
      run.job,
      run.units.map(([unit]) => ({ unit, ...end })),
    )
  })
  await using _ = lab
  await Promise.all(['first', 'second'].map(enter))
  await lab.ended((await lab.submit(1)).id)
  expect([...told.values()].flat()).toEqual(['run 0', 'run 0'])
})

it('nobody plants a state for a unit that another has, nor for a job that is not there', async () => {
  const held: { act: Act; run: Run }[] = []
  const { lab, told, enter } = await open(async (name, act, run) => {
    if (name === 'holder') held.push({ act, run })
    else await act.tell(run.job, act.square(run))
  })
  await using _ = lab
  await enter('holder')
  const { id } = await lab.submit(1)
  await until(() => held.length === 1)
  const planter = await newSigner()
  const words: string[] = []
  const planted = Promise.withResolvers<void>()
  const behave = scripted(planter, {
    onOpen: async ({ say }) => {
      const state = Buffer.from('planted')
      await say({ t: 'checkpoint', job: id, unit: 0, state })
      await say({ t: 'checkpoint', job: digestOf('another job'), unit: 0, state })
      // What comes after them is heard after them.
      await say({ t: 'refuse', job: id, code: 'E_OWN_LIMITS', message: '', retryAfterMs: null })
      planted.resolve()
    },
    onMessage: (_, message) => void words.push(message.t),
  })
  lab.mesh.enter(planter.peer, behave, { ad: { cpus: 1 } })
  await planted.promise
  await until(() => lab.jobs.explain.job(id).peers.idle.some(({ reason }) => reason === 'own-limits'))
  expect(lab.jobs.explain.unit(id, 0).checkpoint).toBe(null)
  await enter('third')
  for (const { act, run } of held) await giveBack(act, run)
  await lab.ended(id)
  expect([told.get('third'), words]).toEqual([['run 0'], []])
})

const STATE = new Uint8Array(LIMITS.UNIT_CHECKPOINT_MAX_BYTES)
const PER_JOB = Math.floor(LIMITS.JOB_CHECKPOINTS_MAX_BYTES / (STATE.length + 1_024))
const IN_ALL = Math.floor(LIMITS.CHECKPOINTS_MAX_BYTES / (STATE.length + 1_024))

function keeper(verify: object = { kind: 'none' }) {
  const policy = policySchema.parse({ verify })
  const checkpoints = new Checkpoints({
    policyOf: (job) => (job === 'gone' ? undefined : policy),
    scheduler: { isHeld: () => true },
    now: () => 0,
  })
  const kept = (job: string, units: number) =>
    [...Array(units).keys()].filter((unit) => checkpoints.of(job, unit, 'peer') !== undefined)
  return { checkpoints, kept }
}

it('a job keeps so much, and loses the oldest', () => {
  const { checkpoints, kept } = keeper()
  for (let unit = 0; unit < PER_JOB; unit++) checkpoints.keep('job', unit, 'peer', STATE)
  checkpoints.keep('job', 0, 'peer', STATE)
  checkpoints.keep('job', PER_JOB, 'peer', STATE)
  expect(kept('job', PER_JOB + 1)).toEqual([0, ...Array.from({ length: PER_JOB - 1 }, (_, i) => i + 2)])
})

it('all jobs together keep so much, and whichever has most loses', () => {
  const { checkpoints, kept } = keeper()
  const jobs = [...Array(Math.ceil(IN_ALL / PER_JOB)).keys()].map((n) => `job ${n}`)
  for (const job of jobs) for (let unit = 0; unit < PER_JOB; unit++) checkpoints.keep(job, unit, 'peer', STATE)
  checkpoints.keep('small', 0, 'peer', STATE)
  expect(kept('small', 1)).toEqual([0])
  const counts = jobs.map((job) => kept(job, PER_JOB).length)
  expect(counts.reduce((sum, count) => sum + count, 1)).toBeLessThanOrEqual(IN_ALL)
  checkpoints.forget(jobs[0] ?? '')
  expect(kept(jobs[0] ?? '', PER_JOB)).toEqual([])
  const room = IN_ALL - counts.slice(1).reduce((sum, count) => sum + count, 1)
  for (let unit = 0; unit < room; unit++) checkpoints.keep('next', unit, 'peer', STATE)
  expect(kept('next', PER_JOB).length).toBe(room)
  expect(kept('small', 1)).toEqual([0])
})

it('what is kept is a copy, and of a job that runs', () => {
  const { checkpoints } = keeper()
  const state = Uint8Array.of(1)
  checkpoints.keep('job', 0, 'peer', state)
  state[0] = 2
  expect(checkpoints.of('job', 0, 'another')).toEqual(Uint8Array.of(1))
  checkpoints.keep('gone', 0, 'peer', state)
  expect(checkpoints.of('gone', 0, 'peer')).toBeUndefined()
})

it('what is on the disk is read as far as it is whole, and once', () => {
  const folder = mkdtempSync(join(tmpdir(), 'talkoot-checkpoints-'))
  const path = join(folder, 'checkpoints')
  try {
    const { checkpoints } = keeper({ kind: 'quorum', agree: 2, of: 2 })
    const job = 'a'.repeat(52)
    for (const unit of [0, 1, 2]) checkpoints.keep(job, unit, `peer ${unit}`, Uint8Array.of(unit))
    const file = new CheckpointFile(path)
    file.write(checkpoints.all())
    const bytes = readFileSync(path)
    const after = keeper({ kind: 'quorum', agree: 2, of: 2 }).checkpoints
    after.restore(file.take())
    expect(after.of(job, 1, 'peer 1')).toEqual(Uint8Array.of(1))
    expect(after.of(job, 1, 'peer 2')).toBeUndefined()
    expect(file.take()).toEqual([])
    for (let length = 0; length <= bytes.length; length++) {
      writeFileSync(path, bytes.subarray(0, length))
      expect(file.take().length).toBe(Math.floor((3 * length) / bytes.length))
    }
    file.write([])
    expect(existsSync(path)).toBe(false)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
