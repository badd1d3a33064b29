/** A real JobService on a real ledger, with this machine's own real worker, and peers that behave as a test says. */

import { mkdtempSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { afterAll } from 'vitest'
import type { JobDescription } from '../../node/jobs/intake.ts'
import { JobService } from '../../node/jobs/job-service.ts'
import { JobTrees } from '../../node/jobs/job-trees.ts'
import { Removals } from '../../node/jobs/removals.ts'
import { createScheduler } from '../../node/jobs/scheduler/scheduler.ts'
import { UnitFilesOfJobs } from '../../node/jobs/unit-files.ts'
import { memoryChannels } from '../../node/mesh/memory-channel.ts'
import type { AdmittedPeer, Channel, Mesh, MeshEvent } from '../../node/mesh/mesh.ts'
import { openRuntimes } from '../../node/runtimes/open.ts'
import type { Runtimes } from '../../node/runtimes/runtimes.ts'
import { BlobStore } from '../../node/store/blobs.ts'
import { CheckpointFile } from '../../node/store/checkpoint-file.ts'
import { EvidenceStore } from '../../node/store/evidence.ts'
import { JobRemoval } from '../../node/store/job-removal.ts'
import { JobStore } from '../../node/store/job-store.ts'
import { type Ledger, openLedger } from '../../node/store/ledger.ts'
import { PeerNumbers } from '../../node/store/peer-numbers.ts'
import { PeerRuleStore } from '../../node/store/peer-rules.ts'
import { TreeStore } from '../../node/store/tree-store.ts'
import { TreeUploads } from '../../node/store/tree-uploads.ts'
import { Worker } from '../../node/worker/worker.ts'
import type { Ad } from '../../protocol/ad.ts'
import { type JobInfo, jobRequestSchema, type ResultRow, resultsQuerySchema } from '../../protocol/api.ts'
import { TalkootError } from '../../protocol/errors.ts'
import type { Signer } from '../../protocol/signatures.ts'
import { adOf } from '../cores/fixture.ts'
import { newSigner } from '../worker/submitter.ts'

export const SQUARE = 'exports.default = ({ n }) => n * n'

let shared: { runtimes: Runtimes; folder: string } | null = null

/** Proving a runtime takes a while: one serves all tests of a file. */
function sharedRuntimes(): Runtimes {
  if (shared === null) {
    const folder = mkdtempSync(join(tmpdir(), 'talkoot-runtime-'))
    shared = { folder, runtimes: openRuntimes({ scratchDir: folder }) }
  }
  return shared.runtimes
}

afterAll(async () => {
  await shared?.runtimes.stop()
  if (shared !== null) await rm(shared.folder, { recursive: true, force: true })
})

/** What a peer does with each session that is opened to it. */
export type Behaviour = (channel: Channel) => Promise<void>

const EQUAL = { self: 1, member: 1, stranger: 1, peers: {} }

export class Laboratory {
  readonly runtimes: Runtimes
  readonly folder: string
  readonly mesh: StagedMesh
  readonly signer: Signer
  readonly errors: unknown[] = []
  /** Milliseconds by which the wall clock is ahead. */
  wallAhead = 0
  ledger: Ledger
  jobs: JobService
  store: JobStore
  evidence: EvidenceStore
  rules: PeerRuleStore
  blobs: BlobStore
  trees: TreeStore
  removals: Removals
  readonly #slots: number
  #worker: Worker

  private constructor(folder: string, signer: Signer, { slots, mesh }: { slots: number; mesh: string }) {
    this.folder = folder
    this.signer = signer
    this.#slots = slots
    this.runtimes = sharedRuntimes()
    this.mesh = new StagedMesh(signer.peer, mesh)
    ;({
      ledger: this.ledger,
      store: this.store,
      evidence: this.evidence,
      rules: this.rules,
      blobs: this.blobs,
      trees: this.trees,
      removals: this.removals,
      worker: this.#worker,
      jobs: this.jobs,
    } = this.#compose())
  }

  /** With `slots: 0` this machine runs nothing itself. */
  static async open({ slots = 1, mesh = 'mesh' }: { slots?: number; mesh?: string } = {}): Promise<Laboratory> {
    const lab = new Laboratory(await mkdtemp(join(tmpdir(), 'talkoot-jobs-')), await newSigner(), { slots, mesh })
    lab.jobs.start()
    return lab
  }

  /** As after the end of the process: nothing but the disk is left. */
  async restart(): Promise<void> {
    await this.stop()
    const { worker, ...parts } = this.#compose()
    Object.assign(this, parts)
    this.#worker = worker
    this.jobs.start()
    this.removals.start()
  }

  async stop(): Promise<void> {
    await this.removals.stop()
    await this.jobs.stop()
    await this.#worker.stop()
    this.ledger.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await rm(this.folder, { recursive: true, force: true })
  }

  request(
    units: number,
    { source = SQUARE, after = [], ...policy }: { source?: string; after?: string[] } & Record<string, unknown> = {},
  ) {
    const digest = this.blobs.put(Buffer.from(source))
    return jobRequestSchema.parse({
      task: { runtime: 'js', digest, bytes: Buffer.byteLength(source) },
      sweep: { kind: 'product', axes: [['n', { kind: 'range', from: 0, to: units, step: 1 }]] },
      policy: { memoryMiB: 64, ...policy },
      after,
    })
  }

  describe(units: number, policy: Parameters<Laboratory['request']>[1] = {}): JobDescription {
    return { ...this.request(units, policy), retryOf: null }
  }

  submit(
    units: number,
    policy: { source?: string; after?: string[] } & Record<string, unknown> = {},
  ): Promise<JobInfo> {
    return this.jobs.submit(this.describe(units, policy), { queue: true })
  }

  /** The job when it has ended. */
  async ended(id: string, ms = 120_000): Promise<JobInfo> {
    const signal = AbortSignal.timeout(ms)
    let last: JobInfo | null = null
    for await (const info of this.jobs.watch(id, signal)) last = info
    if (last === null || last.state === 'running') throw new Error(`still running: ${JSON.stringify(last)}`)
    return last
  }

  async rows(id: string, query: Record<string, string> = {}): Promise<ResultRow[]> {
    const rows: ResultRow[] = []
    for await (const page of this.jobs.results(id, resultsQuerySchema.parse(query), AbortSignal.timeout(120_000)))
      rows.push(...page)
    return rows
  }

  /** The values by unit, of a job whose units all succeeded. */
  async values(id: string): Promise<unknown[]> {
    return (await this.rows(id, { order: 'input' })).map((row) =>
      row.status === 'accepted' ? row.value : row.error.code,
    )
  }

  #compose() {
    const ledger = openLedger(join(this.folder, 'ledger.sqlite'))
    const peers = new PeerNumbers(ledger)
    const store = new JobStore({ ledger, peers })
    const evidence = new EvidenceStore({ ledger, peers })
    const rules = new PeerRuleStore({ ledger, wallClock: () => Date.now() + this.wallAhead })
    const blobs = new BlobStore(join(this.folder, 'blobs'))
    const trees = new TreeStore({ folder: join(this.folder, 'trees'), budgetBytes: 2 ** 24 })
    const onError = (error: unknown) => void this.errors.push(error)
    const { runtimes, signer, mesh } = this
    const now = () => performance.now()
    const worker = new Worker(
      {
        runtimes,
        signer,
        fetchTask: async (_, digest) => blobs.get(digest),
        fetchTree: (_, { digest }, { signal }) => trees.hold(digest, signal),
        describeTree: async (_, digest, signal) => (await trees.hold(digest, signal)).description,
        trees,
        runtimeVersion: () => '1',
        isBlocked: () => false,
        doneFor: (peer) => evidence.servedMs(peer),
        now,
        random: Math.random,
        onError,
      },
      {
        slots: this.#slots,
        memoryMiB: 1_024,
        confinement: 'os',
        strangersWithoutOsSandbox: false,
        shares: EQUAL,
        commands: 'members',
        python: 'nobody',
      },
    )
    worker.start()
    const jobTrees = new JobTrees({ blobs, trees, uploads: new TreeUploads({ trees }), onError })
    const unitFiles = new UnitFilesOfJobs({
      blobs,
      unitTrees: trees,
      named: store.unitFiles,
      fetchTree: (_, { digest }, { signal }) => trees.hold(digest, signal),
      onError,
    })
    const jobs = new JobService({
      scheduler: createScheduler({
        random: xoroshiro128plus(42),
        credit: (peer) => evidence.creditAt(peer, Date.now() + this.wallAhead),
      }),
      ledger,
      jobs: store,
      evidence,
      rules,
      blobs,
      checkpointFile: new CheckpointFile(join(this.folder, 'checkpoints')),
      trees: jobTrees,
      unitFiles,
      mesh,
      worker,
      runtimes,
      signer,
      ownAd: () => adOf(signer.peer, { cpus: this.#slots }),
      now,
      wallClock: () => Date.now() + this.wallAhead,
      random: Math.random,
      onError,
    })
    const removals = new Removals({
      removal: new JobRemoval({ ledger }),
      reports: store.reports,
      jobs,
      blobs,
      trees,
      jobTrees,
      loose: { discard: (gone) => unitFiles.loose.discard(gone), sweep: async () => undefined },
      now,
      onError,
    })
    return { ledger, store, evidence, rules, blobs, trees, worker, jobs, removals }
  }
}

/** A mesh of peers that a test puts on stage; sessions to them are channels in memory. */
export class StagedMesh implements Mesh {
  readonly peerId: string
  readonly meshId: string
  /** How often a session was opened, by peer. */
  readonly opened = new Map<string, number>()
  wanted = false
  readonly #cast = new Map<string, { peer: AdmittedPeer; behave: Behaviour }>()
  readonly #listeners = new Set<(event: MeshEvent) => void>()

  constructor(peerId: string, meshId: string) {
    this.peerId = peerId
    this.meshId = meshId
  }

  enter(
    id: string,
    behave: Behaviour,
    { role = 'member', ad = {} }: { role?: AdmittedPeer['role']; ad?: Partial<Ad> } = {},
  ) {
    const peer: AdmittedPeer = { id, role, ad: adOf(id, ad), direction: 'inbound', address: '' }
    this.#cast.set(id, { peer, behave })
    this.#emit({ type: 'peer.joined', peer })
  }

  leave(id: string): void {
    this.#cast.delete(id)
    this.#emit({ type: 'peer.left', id, code: 'E_UNREACHABLE' })
  }

  advertise(id: string, changes: Partial<Ad>): void {
    const actor = this.#cast.get(id)
    if (actor === undefined) throw new RangeError(`no peer ${id}`)
    actor.peer = { ...actor.peer, ad: { ...actor.peer.ad, ...changes } }
    this.#emit({ type: 'peer.ad', peer: actor.peer })
  }

  peers(): AdmittedPeer[] {
    return [...this.#cast.values()].map(({ peer }) => peer)
  }

  heardOf(): [] {
    return []
  }

  watch(listener: (event: MeshEvent) => void, signal: AbortSignal): void {
    this.#listeners.add(listener)
    signal.addEventListener('abort', () => this.#listeners.delete(listener))
  }

  async open(peer: string): Promise<Channel> {
    const actor = this.#cast.get(peer)
    if (actor === undefined) throw new TalkootError('E_UNREACHABLE', 'not on stage')
    this.opened.set(peer, (this.opened.get(peer) ?? 0) + 1)
    const [mine, theirs] = memoryChannels(peer)
    actor.behave(theirs).catch(() => undefined)
    return mine
  }

  serve(): void {
    throw new Error('nobody opens sessions to this node')
  }

  wantWork(wanted: boolean): void {
    this.wanted = wanted
  }

  disconnect(peer: string): void {
    this.leave(peer)
  }

  #emit(event: MeshEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
}
