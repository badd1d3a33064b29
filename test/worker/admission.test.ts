/** Which jobs a worker takes, and what it tells a submitter whose job it does not. */

import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { OwnerPolicy } from '../../node/worker/admission.ts'
import type { Submitter as Who } from '../../node/worker/weights.ts'
import { canonicalBytes, digestOf } from '../../protocol/canonical.ts'
import { encodeProgram } from '../../protocol/command/program.ts'
import { encodeTree } from '../../protocol/data/tree.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { decodeManifest } from '../../protocol/manifest.ts'
import type { Signer } from '../../protocol/signatures.ts'
import { encodeWasiProgram } from '../../protocol/wasm/wasi-program.ts'
import { until } from '../mesh/nodes.ts'
import { wasi, wasmOf } from '../runtimes/wat.ts'
import { newSigner, type SignedJob, Submitter, signJob } from './submitter.ts'
import { SQUARE, Workshop } from './workshop.ts'

let shop: Workshop
beforeAll(async () => {
  shop = await Workshop.open()
  shop.sources.set(digestOf(SQUARE), SQUARE)
})
afterEach(() => shop.stopWorkers())
afterAll(() => shop.close())

const signer = await newSigner()
const other = await newSigner()

const forged: [string, (job: SignedJob) => Promise<SignedJob> | SignedJob][] = [
  ['is signed by another', async (job) => ({ ...job, signature: await other.sign('manifest', job.manifest) })],
  ['is signed for another purpose', async (job) => ({ ...job, signature: await signer.sign('receipt', job.manifest) })],
  ['has no signature', (job) => ({ ...job, signature: new Uint8Array() })],
  ['has an id that is not its digest', (job) => ({ ...job, id: digestOf('another') })],
  [
    'names another submitter',
    async () => {
      const theirs = await signJob(other, SQUARE)
      return { ...theirs, signature: await signer.sign('manifest', theirs.manifest) }
    },
  ],
  [
    'is not canonical',
    async (job) => {
      // The same map with one key twice over, and trailing bytes.
      const manifest = Buffer.concat([job.manifest, Buffer.from([0])])
      return { ...job, id: digestOf(manifest), manifest, signature: await signer.sign('manifest', manifest) }
    },
  ],
  [
    'has a field nobody knows',
    async (job) => {
      const manifest = canonicalBytes({ ...decodeManifest(job.manifest).manifest, extra: 1 })
      return { ...job, id: digestOf(manifest), manifest, signature: await signer.sign('manifest', manifest) }
    },
  ],
  [
    'is nested without end',
    async (job) => {
      const manifest = new Uint8Array(LIMITS.MANIFEST_MAX_BYTES).fill(0x81)
      return { ...job, id: digestOf(manifest), manifest, signature: await signer.sign('manifest', manifest) }
    },
  ],
]

describe('a job that', () => {
  it.each(forged)('%s is refused, and the next one is run', async (_, forge) => {
    const submitter = new Submitter(await shop.worker(), signer)
    const job = await forge(await signJob(signer, SQUARE))
    await submitter.introduce(job)
    expect(await submitter.refused(job.id)).toMatchObject({ code: 'E_JOB_INVALID', retryAfterMs: null })
    const good = await signJob(signer, SQUARE)
    await submitter.introduce(good)
    await submitter.run(good, 1, 7)
    await until(() => submitter.attempts.length === 1)
    expect(submitter.attempts).toEqual([{ unit: 7, ok: true, value: '49' }])
  })

  it('is longer than a manifest may be ends the session', async () => {
    const submitter = new Submitter(await shop.worker(), signer)
    const manifest = new Uint8Array(LIMITS.MANIFEST_MAX_BYTES + 1)
    await submitter.say({ t: 'job', job: digestOf(manifest), manifest, signature: new Uint8Array(64) })
    await until(() => submitter.ended === 'E_FRAME')
  })

  it.each<[string, Who['role'], object, object, string | null]>([
    ['is of a peer that may only work', 'worker', {}, {}, 'E_ROLE'],
    ['wants more cores than the owner gives', 'member', { cpus: 3 }, { slots: 2 }, 'E_OWN_LIMITS'],
    ['wants all the cores the owner gives', 'member', { cpus: 2 }, { slots: 2 }, null],
    ['wants more memory than the owner gives', 'member', { memoryMiB: 2_000 }, {}, 'E_OWN_LIMITS'],
    ['wants all the memory the owner gives', 'member', { memoryMiB: 1_024 }, {}, null],
    ['is a stranger’s, without an OS sandbox', 'stranger', {}, { confinement: 'runtime' }, 'E_NO_OS_SANDBOX'],
    ['is a stranger’s, with one', 'stranger', {}, {}, null],
    ['is a member’s, without an OS sandbox', 'member', {}, { confinement: 'runtime' }, null],
    [
      'is a stranger’s, by the owner’s leave',
      'stranger',
      {},
      { confinement: 'runtime', strangersWithoutOsSandbox: true },
      null,
    ],
  ])('%s', async (_, role, policy, owner, code) => {
    const submitter = new Submitter(await shop.worker(owner), signer, { role })
    const job = await signJob(signer, SQUARE, policy)
    await submitter.introduce(job)
    if (code === null) await until(() => submitter.of('accept').some((accept) => accept.job === job.id))
    else expect(await submitter.refused(job.id)).toMatchObject({ code, retryAfterMs: null })
  })
})

describe('the task of a job', () => {
  it('that its submitter does not have is asked for again later', async () => {
    const submitter = new Submitter(await shop.worker(), signer)
    const job = await signJob(signer, 'exports.default = () => 1 // kept from everybody')
    await submitter.introduce(job)
    expect(await submitter.refused(job.id)).toMatchObject({ code: 'E_BLOB', retryAfterMs: LIMITS.BUSY_RETRY_MS })
  })

  it('that no longer matters is not waited for, and its late arrival changes nothing', async () => {
    const fetches: { signal: AbortSignal; arrive: (bytes: Uint8Array) => void }[] = []
    const worker = await shop.worker({}, (_from, _digest, _bytes, signal) => {
      const { promise, resolve } = Promise.withResolvers<Uint8Array>()
      fetches.push({ signal, arrive: resolve })
      return promise
    })
    const submitter = new Submitter(worker, signer)
    const job = await signJob(signer, SQUARE)
    await submitter.introduce(job)
    await submitter.run(job, 1, 3)
    await until(() => fetches.length === 1)
    await submitter.say({ t: 'revoke', job: job.id, units: null })
    await until(() => fetches[0]?.signal.aborted === true)
    // Introduced again before the first fetch has ended: only the second counts.
    await submitter.introduce(job)
    await submitter.run(job, 1, 5)
    await until(() => fetches.length === 2)
    fetches[0]?.arrive(Buffer.from(SQUARE))
    fetches[1]?.arrive(Buffer.from(SQUARE))
    await until(() => submitter.attempts.length === 1)
    expect(submitter.attempts).toEqual([{ unit: 5, ok: true, value: '25' }])
    expect(submitter.of('refuse')).toEqual([])
    expect(submitter.of('accept')).toHaveLength(1)
  })

  it('that fails to come for a job called off and introduced again is not told of the new one', async () => {
    const fetches: ((error: Error) => void)[] = []
    const worker = await shop.worker({}, () => {
      if (fetches.length > 0) return Promise.resolve(Buffer.from(SQUARE))
      const { promise, reject } = Promise.withResolvers<Uint8Array>()
      fetches.push(reject)
      return promise
    })
    const submitter = new Submitter(worker, signer)
    const job = await signJob(signer, SQUARE)
    await submitter.introduce(job)
    await until(() => fetches.length === 1)
    await submitter.say({ t: 'revoke', job: job.id, units: null })
    await submitter.introduce(job)
    fetches[0]?.(new Error('gone'))
    await submitter.run(job, 1, 4)
    await until(() => submitter.attempts.length === 1)
    expect(submitter.attempts).toEqual([{ unit: 4, ok: true, value: '16' }])
    expect(submitter.of('refuse')).toEqual([])
  })

  it('is fetched once for many jobs', async () => {
    let fetched = 0
    const worker = await shop.worker({}, async () => {
      fetched += 1
      return Buffer.from(SQUARE)
    })
    const submitter = new Submitter(worker, signer)
    for (let i = 1; i <= 5; i++) {
      await submitter.introduce(await signJob(signer, SQUARE))
      await until(() => submitter.of('accept').length === i)
    }
    expect(fetched).toBe(1)
  })

  it('finds no room while its submitter’s other tasks take half of it, and does when one goes', async () => {
    const worker = await shop.worker({}, async () => Buffer.from(SQUARE))
    const submitter = new Submitter(worker, signer)
    const many = LIMITS.WORKER_TASKS_MAX_BYTES / LIMITS.TASK_MAX_BYTES / 2
    const jobs = await jobsOfLongTasks(signer, many + 1)
    for (const job of jobs.slice(0, many)) await submitter.introduce(job)
    await until(() => submitter.of('accept').length === many)
    const [first, last] = [jobs[0], jobs[many]] as [SignedJob, SignedJob]
    await submitter.introduce(last)
    expect(await submitter.refused(last.id)).toMatchObject({ code: 'E_BUSY', retryAfterMs: LIMITS.BUSY_RETRY_MS })
    await submitter.say({ t: 'revoke', job: first.id, units: null })
    await submitter.introduce(last)
    await until(() => submitter.of('accept').length === many + 1)
  })

  it('finds room however much greedy submitters take, also while theirs are on their way', async () => {
    const worker = await shop.worker({}, async (from, _digest, _bytes, signal) => {
      if (from !== signer.peer) await once(signal, 'abort')
      return Buffer.from(SQUARE)
    })
    const taken: number[] = []
    for (const greedy of [await newSigner(), await newSigner()]) {
      const submitter = new Submitter(worker, greedy)
      const jobs = await jobsOfLongTasks(greedy, LIMITS.WORKER_TASKS_MAX_BYTES / LIMITS.TASK_MAX_BYTES)
      for (const job of jobs) await submitter.introduce(job)
      await submitter.refused((jobs.at(-1) as SignedJob).id)
      taken.push(jobs.length - submitter.of('refuse').length)
    }
    expect(taken).toEqual([16, 8])
    const honest = new Submitter(worker, signer)
    for (const job of await jobsOfLongTasks(signer, 4)) await honest.introduce(job)
    await until(() => honest.of('accept').length === 4)
  })
})

const jobsOfLongTasks = (by: Signer, count: number): Promise<SignedJob[]> =>
  Promise.all(
    Array.from({ length: count }, (_, i) => {
      const task = { runtime: 'js' as const, digest: digestOf(`task ${i}`), bytes: LIMITS.TASK_MAX_BYTES }
      return signJob(by, SQUARE, {}, { task })
    }),
  )

describe('more jobs than a desk has room for', () => {
  it('are refused for now, and taken when others have ended', async () => {
    const submitter = new Submitter(await shop.worker(), signer)
    const jobs: SignedJob[] = []
    for (let i = 0; i <= LIMITS.JOBS_PER_DESK_MAX; i++) jobs.push(await signJob(signer, SQUARE))
    const last = jobs.at(-1) as SignedJob
    for (const job of jobs) await submitter.introduce(job)
    expect(await submitter.refused(last.id)).toMatchObject({ code: 'E_BUSY', retryAfterMs: LIMITS.BUSY_RETRY_MS })
    await until(() => submitter.of('accept').length === LIMITS.JOBS_PER_DESK_MAX)
    await submitter.say({ t: 'revoke', job: jobs[0]?.id ?? '', units: null })
    await submitter.introduce(last)
    await until(() => submitter.of('accept').some(({ job }) => job === last.id))
  })

  it('leave nothing behind when their submitter leaves', async () => {
    const worker = await shop.worker()
    const submitter = new Submitter(worker, signer)
    for (let i = 0; i < LIMITS.JOBS_PER_DESK_MAX; i++) await submitter.introduce(await signJob(signer, SQUARE))
    await until(() => submitter.of('accept').length === LIMITS.JOBS_PER_DESK_MAX)
    await submitter.leave()
    const again = new Submitter(worker, signer)
    await again.introduce(await signJob(signer, SQUARE))
    await until(() => again.of('accept').length === 1)
  })
})

describe('a job whose files take a while', () => {
  it('has no units here until they have come, says how far they are, and then runs', async () => {
    const files = [{ path: 'data', bytes: 0, executable: false, chunks: new Uint8Array() }]
    const { digest, description } = encodeTree({ v: 1, files })
    const program = encodeProgram({ v: 1, argv: ['cat', 'data'], env: {}, stdin: null, inputs: { digest, bytes: 5 } })
    const come = Promise.withResolvers<void>()
    const worker = await shop.worker(
      {},
      async () => Buffer.from(program),
      async (_from, _tree, { signal, onFetched }) => {
        onFetched?.({ bytes: 2, of: 5 })
        await come.promise
        return await shop.trees.begin(description, signal)
      },
    )
    const submitter = new Submitter(worker, signer)
    const task = { runtime: 'command' as const, digest: digestOf(program), bytes: Buffer.byteLength(program) }
    const job = await signJob(signer, program, {}, { task })
    await submitter.introduce(job)
    await submitter.run(job, 2, 1)
    await until(() => submitter.of('handback').length === 1)
    expect(submitter.of('handback')).toMatchObject([{ units: [1, 2], code: 'E_FETCHING' }])
    await until(() => submitter.of('fetching').length > 1)
    expect(submitter.of('fetching')[0]).toEqual({ t: 'fetching', job: job.id, bytes: 2, of: 5 })
    expect(submitter.of('accept')).toEqual([])
    await submitter.run(job, 3)
    await until(() => submitter.of('handback').length === 2)
    come.resolve()
    await until(() => submitter.of('accept').length === 1)
    const told = submitter.of('fetching').length
    await until(() => submitter.of('beat').length > 3)
    expect(submitter.of('fetching').length).toBe(told)
  })
})

describe('a program', () => {
  const { digest, description } = encodeTree({
    v: 1,
    files: [{ path: 'data', bytes: 0, executable: false, chunks: new Uint8Array() }],
  })
  const inputs = { digest, bytes: 3_000_000 }
  const PROGRAM = encodeProgram({ v: 1, argv: ['echo', '{n}'], env: {}, stdin: null, inputs })
  const task = { runtime: 'command' as const, digest: digestOf(PROGRAM), bytes: Buffer.byteLength(PROGRAM) }
  const cases: [commands: OwnerPolicy['commands'], role: Who['role'], runs: boolean][] = [
    ['members', 'self', true],
    ['members', 'member', true],
    ['members', 'admin', true],
    ['members', 'stranger', false],
    ['nobody', 'self', true],
    ['nobody', 'member', false],
    [['a friend'], 'admin', false],
    [[signer.peer], 'member', true],
    [[signer.peer], 'stranger', true],
  ]

  const base64 = wasmOf(wasi('')).toString('base64')
  const programOf = {
    wasm: SQUARE,
    js: SQUARE,
    wasi: encodeWasiProgram({ v: 1, base64, args: [], env: {}, stdin: null, inputs: null, outputs: [] }),
  }

  it.each(['wasm', 'wasi', 'js'] as const)(
    'of kind %s is none: a stranger’s is taken, whoever may run programs',
    async (runtime) => {
      const source = programOf[runtime]
      shop.sources.set(digestOf(source), source)
      const submitter = new Submitter(await shop.worker({ commands: 'nobody' }), signer, { role: 'stranger' })
      const task = { runtime, digest: digestOf(source), bytes: Buffer.byteLength(source) }
      await submitter.introduce(await signJob(signer, source, {}, { task }))
      await until(() => submitter.of('accept').length === 1)
    },
  )

  it.each(cases)(
    'of an owner who says %j, by a %s: %s; none of its bytes are fetched if not, nor of its files',
    async (commands, role, runs) => {
      let fetched = 0
      const worker = await shop.worker(
        { commands },
        async () => {
          fetched += task.bytes
          return Buffer.from(PROGRAM)
        },
        async (from, tree, { signal }) => {
          expect([from, tree]).toEqual([signer.peer, inputs])
          fetched += tree.bytes
          return await shop.trees.begin(description, signal)
        },
      )
      const submitter = new Submitter(worker, signer, { role })
      const job = await signJob(signer, PROGRAM, {}, { task })
      await submitter.introduce(job)
      if (runs) await until(() => submitter.of('accept').length === 1)
      else expect(await submitter.refused(job.id)).toMatchObject({ code: 'E_NATIVE_UNTRUSTED', retryAfterMs: null })
      expect(fetched).toBe(runs ? task.bytes + inputs.bytes : 0)
    },
  )
})
