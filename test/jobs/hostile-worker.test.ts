/** Whatever a worker says, the job ends rightly by the work of others, and the node stays well. */

import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { canonicalBytes, digestOf } from '../../protocol/canonical.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { signReceipt } from '../../protocol/receipt.ts'
import type { UnitReport } from '../../protocol/report.ts'
import type { Signer } from '../../protocol/signatures.ts'
import type { Attempt } from '../../protocol/work.ts'
import { codeOf, until } from '../mesh/nodes.ts'
import { newSigner } from '../worker/submitter.ts'
import { Laboratory } from './laboratory.ts'
import { type Act, scripted } from './scripted-worker.ts'

const SQUARES = (units: number) => Array.from({ length: units }, (_, n) => n * n)
const other = await newSigner()

type Run = Parameters<NonNullable<Parameters<typeof scripted>[1]['onRun']>>[1]
const valued = (value: string) => (act: Act, run: Run) =>
  act.tell(
    run.job,
    run.units.map(([unit]) => ({ unit, ok: true, value })),
  )

const reportOf = (unit: number, stdout: string): UnitReport => ({
  unit,
  exit: { code: 0, signal: stdout.slice(0, 5) },
  stdout,
  stderr: stdout,
  wallMs: 1,
  cpuMs: null,
  peakMiB: null,
  runtime: 'command 1',
  system: 'Linux',
})

/** The right results, and beside them what is told of the attempts. */
async function sayWith(act: Act, run: Run, reports: readonly UnitReport[]): Promise<void> {
  const attempts = act.square(run)
  const { signature } = await signReceipt(act.signer, run.job, attempts)
  await act.say({ t: 'results', job: run.job, attempts, reports, signature })
}

type Signed = (run: Run, act: Act) => [job: string, attempts: Attempt[]]

/** The right results, and the signature of something else. */
const signedFor = (signed: Signed, by: (act: Act) => Signer = (act) => act.signer) => {
  return async (act: Act, run: Run): Promise<void> => {
    const { signature } = await signReceipt(by(act), ...signed(run, act))
    await act.say({ t: 'results', job: run.job, attempts: act.square(run), signature })
  }
}

const BREACHES: [string, (act: Act, run: Run) => Promise<void> | void][] = [
  ['a frame that is no msgpack', ({ channel }) => channel.send(Uint8Array.of(0xc1))],
  ['a frame over the limit', ({ channel }) => channel.send(new Uint8Array(LIMITS.FRAME_MAX_BYTES + 1))],
  ['a message of no known type', ({ say }) => say({ t: 'format', disk: 'c' })],
  ['a message meant for workers', ({ say }, { job }) => say({ t: 'revoke', job, units: null })],
  [
    'a checkpoint over the limit',
    ({ say }, { job, units }) =>
      say({ t: 'checkpoint', job, unit: units[0]?.[0], state: new Uint8Array(LIMITS.UNIT_CHECKPOINT_MAX_BYTES + 1) }),
  ],
  [
    'the end of a unit the job does not have, beside one that it has',
    (act, run) => act.tell(run.job, [...act.square(run), { unit: LIMITS.SWEEP_UNITS_MAX, ok: true, value: '1' }]),
  ],
  [
    'a receipt another signed',
    signedFor(
      (run, act) => [run.job, act.square(run)],
      () => other,
    ),
  ],
  [
    'another’s receipt, signed by itself',
    signedFor(
      (run, act) => [run.job, act.square(run)],
      (act) => ({ ...act.signer, peer: other.peer }),
    ),
  ],
  [
    'a receipt for other units',
    signedFor((run, act) => [run.job, act.square(run).map((attempt) => ({ ...attempt, unit: attempt.unit + 1 }))]),
  ],
  ['a receipt for fewer units', signedFor((run, act) => [run.job, act.square(run).slice(1)])],
  [
    'a receipt for other values',
    signedFor((run) => [run.job, run.units.map(([unit]) => ({ unit, ok: true, value: '-1' }))]),
  ],
  ['a receipt for another job', signedFor((run, act) => [digestOf('another job'), act.square(run)])],
  [
    'a receipt that is none',
    async (act, run) => {
      const signature = await act.signer.sign('receipt', canonicalBytes({ v: 2 }))
      await act.say({ t: 'results', job: run.job, attempts: act.square(run), signature })
    },
  ],
  [
    'a report longer than its bound',
    async (act, run) => {
      const reports = [reportOf(run.units[0]?.[0] ?? 0, 'x'.repeat(LIMITS.REPORT_TEXT_MAX_BYTES + 1))]
      await sayWith(act, run, reports)
    },
  ],
  ['a value that is not JSON', valued('{"a":')],
  ['a value of nothing', valued('')],
  ['a value that is not canonical', valued('{"b":1, "a":2}')],
  ['a number that is not finite', valued('1e999')],
  ['a value nested too deep', valued(`${'['.repeat(65)}${']'.repeat(65)}`)],
  ['a value nested beyond all bounds', valued(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)],
  ['a value too long', valued(JSON.stringify('x'.repeat(LIMITS.UNIT_RESULT_MAX_BYTES)))],
  ['a value of too many bytes', valued(JSON.stringify('ü'.repeat(LIMITS.UNIT_RESULT_MAX_BYTES / 2)))],
]

it('whatever breaks the protocol costs a worker its session, and the job nothing', async () => {
  await using lab = await Laboratory.open()
  const ends: Record<string, string> = {}
  const expected: Record<string, string> = {}
  for (const [name, breach] of BREACHES) {
    expected[name] = name === 'a frame over the limit' ? 'E_FRAME_TOO_BIG' : 'E_FRAME'
    const bad = await newSigner()
    const behave = scripted(bad, { onRun: breach })
    lab.mesh.enter(bad.peer, async (channel) => {
      ends[name] ??= await codeOf(behave(channel))
    })
  }
  const { id } = await lab.submit(100)
  const { state, accepted, failed, executions, wasted } = await lab.ended(id)
  // What a bad worker had begun was not needed.
  const needed = executions - wasted
  expect({ state, accepted, failed, needed }).toEqual({ state: 'done', accepted: 100, failed: 0, needed: 100 })
  expect(ends).toEqual(expected)
  expect(await lab.values(id)).toEqual(SQUARES(100))
  expect(lab.jobs.info(id).peers).toMatchObject([{ peer: lab.signer.peer, accepted: 100 }])
})

it('a value at the bounds is taken', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const peer = await newSigner()
  const deep = `${'['.repeat(LIMITS.UNIT_VALUE_DEPTH_MAX)}${']'.repeat(LIMITS.UNIT_VALUE_DEPTH_MAX)}`
  const long = JSON.stringify('x'.repeat(LIMITS.UNIT_RESULT_MAX_BYTES - 2))
  const onRun = (act: Act, { job, units }: Run) =>
    act.tell(
      job,
      units.map(([unit]) => ({ unit, ok: true, value: unit % 2 === 0 ? deep : long })),
    )
  lab.mesh.enter(peer.peer, scripted(peer, { onRun }))
  const { id } = await lab.submit(2)
  await lab.ended(id)
  expect(await lab.values(id)).toEqual([JSON.parse(deep), JSON.parse(long)])
})

it('a failure of no known code, with an escape sequence in its text, is told as a crash in plain text', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const peer = await newSigner()
  const onRun = (act: Act, { job, units }: Run) =>
    act.tell(
      job,
      units.map(([unit]) => ({
        unit,
        ok: false,
        code: 'E_\u001b[2J',
        message: '\u001b]0;owned\u0007 \u202etxt',
        blame: 'program',
      })),
    )
  lab.mesh.enter(peer.peer, scripted(peer, { onRun }))
  const { id } = await lab.submit(1, { retries: 0 })
  await lab.ended(id)
  const [row] = await lab.rows(id)
  expect(row).toMatchObject({ status: 'failed', error: { code: 'E_UNIT_CRASHED' }, blame: 'machine' })
  expect(JSON.stringify(row)).not.toMatch(/\\u001b|\\u0007|\u202e/)
})

it('what it tells of attempts is kept in plain text, one of each it ended, and of no other', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const peer = await newSigner()
  const onRun = async (act: Act, run: Run) => {
    // Later versions may tell more.
    const reports = [reportOf(0, 'twice'), { ...reportOf(0, '\u001b[2J\tred\n'), watts: 9 }, reportOf(1, 'of none')]
    // After the first, nobody asked for them.
    for (let times = 0; times < 4; times++) await sayWith(act, run, reports)
  }
  lab.mesh.enter(peer.peer, scripted(peer, { onRun }))
  const { id } = await lab.submit(1)
  const { id: wider } = await lab.submit(2, { require: 'peer.cpus > 1000' })
  await lab.ended(id)
  const { attempts } = lab.jobs.logs(id, 0)
  expect(attempts).toEqual([
    expect.objectContaining({ peer: peer.peer, code: null, stdout: '\ufffd[2J\tred\n', stderr: '\ufffd[2J\tred\n' }),
  ])
  expect(attempts[0]?.exit?.signal).not.toContain('\u001b')
  expect(lab.jobs.logs(wider, 1).attempts).toEqual([])
  expect(() => lab.jobs.logs(id, 1)).toThrow(expect.objectContaining({ code: 'E_NOT_FOUND' }))
})

it('results sent again, and of units never given, count for nothing and are not kept', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const [bad, good] = [await newSigner(), await newSigner()]
  const others = await lab.submit(200, { require: 'peer.cpus > 1000' })
  let frames = 0
  const onRun = async (act: Act, run: Run) => {
    frames += 1
    await act.tell(run.job, act.square(run))
    for (let again = 0; again < 5; again++) await act.tell(run.job, act.square(run))
    const never = Array.from({ length: 200 }, (_, unit): Attempt => ({ unit, ok: true, value: '666' }))
    await act.tell(others.id, never)
  }
  lab.mesh.enter(bad.peer, scripted(bad, { onRun }))
  const answer = (act: Act, run: Run) => {
    frames += 1
    return act.tell(run.job, act.square(run))
  }
  lab.mesh.enter(good.peer, scripted(good, { onRun: answer }))
  const { id } = await lab.submit(60, { verify: { kind: 'quorum', agree: 2, of: 2 } })
  expect(await lab.ended(id)).toMatchObject({ accepted: 60, failed: 0, executions: 120 })
  expect(await lab.values(id)).toEqual(SQUARES(60))
  expect(lab.jobs.info(others.id)).toMatchObject({ accepted: 0, executions: 0 })
  const { receipts } = lab.ledger.db.prepare('SELECT COUNT(*) AS receipts FROM receipts').get() as { receipts: number }
  expect(receipts).toBe(frames)
})

it('a flood of ends nobody asked for costs a worker its session', async () => {
  await using lab = await Laboratory.open()
  const bad = await newSigner()
  let told = 0
  let cutOff = false
  const onOpen = async (act: Act) => {
    const job = 'a'.repeat(52)
    const attempts = Array.from({ length: 256 }, (_, unit): Attempt => ({ unit, ok: true, value: '1' }))
    try {
      for (; told < 1_000; told++) await act.tell(job, attempts)
    } catch {
      cutOff = true
    }
  }
  lab.mesh.enter(bad.peer, scripted(bad, { onOpen }))
  const { id } = await lab.submit(500, {
    source: 'exports.default = ({ n }) => { let x = 0; for (let i = 0; i < 1e6; i++) x += i; return n * n }',
  })
  await until(() => cutOff)
  expect(told * 256).toBeLessThan(3 * LIMITS.WORKER_QUEUE_UNITS_MAX)
  const { accepted, executions, wasted } = await lab.ended(id)
  // It may have been given some itself meanwhile.
  expect({ accepted, needed: executions - wasted }).toEqual({ accepted: 500, needed: 500 })
})

it.each<[string, Parameters<typeof scripted>[1]]>([
  [
    'hands everything back for ever',
    { onRun: (act, { job, units }) => act.say({ t: 'handback', job, units: units.map(([u]) => u), code: 'E_BUSY' }) },
  ],
  [
    'forgets every job',
    {
      onRun: (act, { job, units }) =>
        act.say({ t: 'handback', job, units: units.map(([u]) => u), code: 'E_NOT_FOUND' }),
    },
  ],
  [
    'hands back what it never had',
    { onRun: (act, { job }) => act.say({ t: 'handback', job, units: [7_777], code: 'E_BUSY' }) },
  ],
  [
    'refuses for ever',
    {
      onMessage: (act, { t, job }) =>
        t === 'job' ? act.say({ t: 'refuse', job, code: 'E_BUSY', message: '', retryAfterMs: 0 }) : undefined,
    },
  ],
  [
    'refuses with a code nobody knows',
    {
      onMessage: (act, { t, job }) =>
        t === 'job' ? act.say({ t: 'refuse', job, code: 'E_WHIM', message: '', retryAfterMs: null }) : undefined,
    },
  ],
  ['takes units and never says a word', {}],
  ['hangs up at once', { onOpen: (act) => act.channel.close() }],
])('a worker that %s keeps nobody from the end', async (_, script) => {
  await using lab = await Laboratory.open()
  const bad = await newSigner()
  lab.mesh.enter(bad.peer, scripted(bad, script), { ad: { cpus: 8 } })
  const { id } = await lab.submit(60)
  expect(await lab.ended(id)).toMatchObject({ state: 'done', accepted: 60, failed: 0 })
  expect(await lab.values(id)).toEqual(SQUARES(60))
  // Asked again now and then, not in a tight loop.
  expect(lab.mesh.opened.get(bad.peer)).toBeLessThan(12)
})

it('a worker that has forgotten a job is told of it again', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const peer = await newSigner()
  let introduced = 0
  const onRun = (act: Act, run: Run) => {
    const units = run.units.map(([unit]) => unit)
    if (introduced < 2) return act.say({ t: 'handback', job: run.job, units, code: 'E_NOT_FOUND' })
    return act.tell(run.job, act.square(run))
  }
  const onMessage = (_: Act, { t }: { t: string }) => {
    if (t === 'job') introduced += 1
  }
  lab.mesh.enter(peer.peer, scripted(peer, { onRun, onMessage }))
  const { id } = await lab.submit(5)
  expect(await lab.ended(id)).toMatchObject({ accepted: 5 })
  // Not because its session lapsed and was opened again.
  expect(lab.mesh.opened.get(peer.peer)).toBe(1)
})

it('a worker that reads nothing is given so many bytes and no more', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const bad = await newSigner()
  let end = ''
  const behave = async ({ say }: Act) => {
    for (;;) {
      await say({ t: 'beat', slots: 1, queued: 0, running: 0 })
      await setImmediate()
    }
  }
  const onOpen = async (act: Act) => {
    end ||= await codeOf(behave(act))
  }
  lab.mesh.enter(bad.peer, scripted(bad, { onOpen }), { ad: { cpus: 2_000 } })
  const { sweep, ...job } = lab.describe(4_000)
  const wide = {
    kind: 'cross' as const,
    of: [sweep, { kind: 'points' as const, points: [{ text: 'x'.repeat(60_000) }] }],
  }
  const { id } = await lab.jobs.submit({ ...job, sweep: wide }, { queue: true })
  await until(() => end !== '')
  expect(end).toBe('E_BUSY')
  await lab.jobs.cancel(id)
})
