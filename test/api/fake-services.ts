/** A node's services without a node: fixed answers that fit the schemas, and streams a test can steer. */

import type { NodeServices } from '../../node/api/services.ts'
import { creditOf } from '../../node/jobs/peer-credit.ts'
import type { JobInfo, ResultRow, ResultsQuery, Status } from '../../protocol/api.ts'
import type { PeerInfo } from '../../protocol/api-peers.ts'
import { digestOf } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { policySchema } from '../../protocol/manifest.ts'
import type { PeerRule } from '../../protocol/peer-rules.ts'
import type { UnitLogs } from '../../protocol/report.ts'
import type { Reproduction } from '../../protocol/reproduction.ts'
import type { UnitOutput } from '../../protocol/tail.ts'
import { UnplaceableError } from '../../protocol/unplaceable.ts'
import { explainedJob, explainedPeer, explainedUnit } from './fake-explanations.ts'
import { fakePlan } from './fake-plan.ts'

export const JOB_ID = digestOf('a job')

export class FakeServices implements NodeServices {
  info: JobInfo = jobInfo()
  statusNow: Status = status()
  peersNow: PeerInfo[] = [peer('swift-otter', { self: true, trust: 'self' }), peer('calm-heron')]
  rows: ResultRow[] = [accepted(0), failed(1), accepted(2)]
  /** Refuses jobs that are not to be queued. */
  unplaceable = false
  readonly planned: Parameters<NodeServices['plan']>[0][] = []
  readonly blobs = new Map<string, Uint8Array>()
  readonly submitted: Parameters<NodeServices['submit']>[] = []
  readonly queries: ResultsQuery[] = []
  readonly stops = Promise.withResolvers<void>()
  /** Replaces the stream of results. */
  resultsSource: ((signal: AbortSignal) => AsyncIterable<ResultRow[]>) | null = null
  watchSource: ((signal: AbortSignal) => AsyncIterable<JobInfo>) | null = null

  status = () => this.statusNow
  pause: NodeServices['pause'] = (forMs) => {
    this.statusNow = { ...this.statusNow, paused: { forMs: 0, returnsInMs: forMs } }
    return this.statusNow
  }

  resume: NodeServices['resume'] = () => {
    this.statusNow = { ...this.statusNow, paused: null }
    return this.statusNow
  }

  peers = () => ({
    schema: 'talkoot.peers/1' as const,
    peers: this.peersNow,
    rules: this.rules,
    refused: [{ peer: null, address: '/ip4/127.0.0.1/tcp/9', code: 'E_TOKEN_WRONG', count: 2, agoMs: 1_500 }],
  })

  peer(idOrName: string): PeerInfo {
    const found = this.peersNow.find(({ id, name }) => id === idOrName || name === idOrName)
    if (found === undefined) throw new TalkootError('E_NOT_FOUND', `no peer ${idOrName}`)
    return found
  }

  evidence: NodeServices['evidence'] = () => ({
    schema: 'talkoot.evidence/1',
    peers: [
      {
        peer: '12D3a',
        agreed: 10,
        outvoted: 1,
        lapsed: 0,
        faulty: 0,
        servedMs: 0,
        checks: 7.25,
        caught: 0,
        creditedAgoMs: 9_000,
      },
    ],
  })

  rules: PeerRule[] = []
  setPeerRule: NodeServices['setPeerRule'] = (target, request) => {
    this.rules = [...this.rules, { ...target, ...request, forMs: 1_000 }]
    return { schema: 'talkoot.peer-rules/1', rules: this.rules }
  }

  clearPeerRule: NodeServices['clearPeerRule'] = ({ kind, who }, verdict) => {
    const left = this.rules.filter((rule) => rule.kind !== kind || rule.who !== who || rule.verdict !== verdict)
    if (left.length === this.rules.length) throw new TalkootError('E_NOT_FOUND', `${who} is not ${verdict} here`)
    this.rules = left
    return { schema: 'talkoot.peer-rules/1', rules: left }
  }

  createToken: NodeServices['createToken'] = async ({ role, uses, ttlMs }) => ({
    schema: 'talkoot.token/1',
    id: 'tok1',
    token: 'talkoot1:secret',
    role,
    uses,
    expiresInMs: ttlMs,
  })

  tokens: NodeServices['tokens'] = () => ({
    schema: 'talkoot.tokens/1',
    tokens: [
      { id: 'tok1', role: 'member', uses: 2, usesLeft: 1, expiresInMs: 3_600_000, state: 'live', members: ['12D3a'] },
    ],
  })

  revokeToken: NodeServices['revokeToken'] = async (id, { members }) => ({
    schema: 'talkoot.revoked/1',
    id,
    members: members ? ['12D3a'] : [],
  })

  putBlob: NodeServices['putBlob'] = (digest, bytes) => {
    if (digestOf(bytes) !== digest) throw new TalkootError('E_BLOB', 'the bytes have another digest')
    this.blobs.set(digest, bytes)
    return { schema: 'talkoot.blob/1', digest, bytes: bytes.length }
  }

  beginTree: NodeServices['beginTree'] = async (digest) => ({ schema: 'talkoot.tree/1', digest, missing: [] })
  takeChunks: NodeServices['takeChunks'] = async (digest) => ({ schema: 'talkoot.tree/1', digest, missing: [] })

  submit: NodeServices['submit'] = async (request, options) => {
    if (this.unplaceable && !options.queue) {
      throw new UnplaceableError('no peer can run this job: 2 known', [
        { clause: 'peer.memory > 10 TiB', excludes: 2, remaining: 0 },
      ])
    }
    this.submitted.push([request, options])
    return this.info
  }

  readonly retried: Parameters<NodeServices['retry']>[] = []
  retry: NodeServices['retry'] = async (...asked) => {
    this.job(asked[0])
    this.retried.push(asked)
    return this.info
  }

  unitFiles: NodeServices['unitFiles'] = async (digest) => {
    throw new TalkootError('E_NOT_FOUND', digest)
  }

  jobs: NodeServices['jobs'] = () => {
    const { sweep: _, ...summary } = this.info
    return { schema: 'talkoot.jobs/1', jobs: [summary] }
  }

  job(idOrPrefix: string): JobInfo {
    if (!this.info.id.startsWith(idOrPrefix)) throw new TalkootError('E_NOT_FOUND', `no job ${idOrPrefix}`)
    return this.info
  }

  cancel: NodeServices['cancel'] = async () => {
    this.info = { ...this.info, state: 'cancelled' }
    return this.info
  }

  remove: NodeServices['remove'] = (ids) => {
    if (this.info.state === 'running') throw new TalkootError('E_JOB_RUNNING', `job ${this.info.id.slice(0, 8)} runs`)
    return { schema: 'talkoot.removed/1', jobs: ids.map((id) => this.job(id).id) }
  }

  plan: NodeServices['plan'] = (request) => {
    this.planned.push(request)
    return fakePlan(request)
  }

  explainJob: NodeServices['explainJob'] = (id) => explainedJob(this.job(id))
  explainUnit: NodeServices['explainUnit'] = (id, unit) => explainedUnit(this.job(id), unit)
  logs: NodeServices['logs'] = (id, unit) => ({
    schema: 'talkoot.logs/1',
    job: this.job(id).id,
    unit,
    attempts: this.attempts,
  })
  explainPeer: NodeServices['explainPeer'] = (id) => explainedPeer(this.peer(id))

  hold: NodeServices['hold'] = () => {
    this.info = { ...this.info, state: 'running', heldForMs: 0 }
    return this.info
  }

  release: NodeServices['release'] = () => {
    this.info = { ...this.info, heldForMs: null }
    return this.info
  }

  watchJob: NodeServices['watchJob'] = (_id, signal) => {
    if (this.watchSource !== null) return this.watchSource(signal)
    return from([{ ...this.info, state: 'running' }, this.info])
  }

  results: NodeServices['results'] = (_id, query, signal) => {
    this.queries.push(query)
    if (this.resultsSource !== null) return this.resultsSource(signal)
    return from([this.rows.filter(({ status }) => !query.failed || status === 'failed')])
  }

  attempts: UnitLogs['attempts'] = []
  receiptLines: string[] = ['{"schema":"talkoot.receipts/1"}\n', '{"seal":""}\n']
  receipts: NodeServices['receipts'] = () => from(this.receiptLines)

  written: UnitOutput[] = []
  follow: NodeServices['follow'] = () => from(this.written)

  /** Takes the place of what a reproduction says. */
  reproduced: Partial<Reproduction> = {}
  reproduce: NodeServices['reproduce'] = (job, unit) => {
    if (unit > 9) throw new TalkootError('E_NOT_FOUND', `no unit ${unit}`)
    const told: Reproduction = {
      ...{ schema: 'talkoot.reproduction/1', job, unit, params: { n: unit }, attempt: { unit, ok: true, value: '1' } },
      ...{ exit: { code: 0, signal: null }, stdout: '1\n', stderr: '', system: 'Linux 6.8.0 x64', process: null },
      ...{ durationMs: 5, decided: null, same: null },
    }
    return () => from([{ ...told, ...this.reproduced }])
  }

  requestStop = () => this.stops.resolve()
}

async function* from<T>(items: T[]): AsyncGenerator<T> {
  yield* items
}

export const accepted = (unit: number): ResultRow => ({
  status: 'accepted',
  unit,
  seq: unit,
  params: { n: unit },
  peers: ['12D3KooWself', '12D3KooWother'],
  attempts: 2,
  value: { square: unit * unit },
})

export const failed = (unit: number): ResultRow => ({
  status: 'failed',
  unit,
  seq: unit,
  params: { n: unit },
  peers: ['12D3KooWself'],
  attempts: 1,
  error: { code: 'E_TASK_THREW', message: 'odd one out' },
  blame: 'program',
})

export const jobInfo = (facts: Partial<JobInfo> = {}): JobInfo => ({
  schema: 'talkoot.job/1',
  id: JOB_ID,
  name: 'squares',
  state: 'done',
  createdAgoMs: 12_000,
  heldForMs: null,
  stopped: null,
  after: [],
  retryOf: null,
  units: 3,
  accepted: 2,
  failed: 1,
  running: 0,
  executions: 5,
  wasted: 0,
  expectedWrong: null,
  disagreements: 0,
  waiting: [],
  peers: [{ peer: '12D3KooWotherheron9fQ', name: 'calm-heron', accepted: 2 }],
  task: { runtime: 'js', digest: digestOf('task'), bytes: 100 },
  sweep: { kind: 'product', axes: [['n', { kind: 'range', from: 0, to: 3, step: 1 }]] },
  policy: policySchema.parse({}),
  ...facts,
})

const status = (): Status => ({
  schema: 'talkoot.status/1',
  version: '0.1.0',
  peer: '12D3KooWswiftotter9fQ',
  name: 'swift-otter',
  mesh: { id: '12D3KooWmesh', fingerprint: '7f3a-91c2', kind: 'private', role: 'admin', invitation: null },
  pid: process.pid,
  uptimeMs: 61_000,
  listen: ['/ip4/127.0.0.1/tcp/4801'],
  url: 'http://127.0.0.1:7878',
  offering: { cpus: 2, memory: 2 ** 31, disk: 2 ** 30, slots: 2, slotsUsed: 1 },
  disk: { budget: 2 ** 30, used: 3 * 2 ** 20, images: 0, unitFiles: 5 * 2 ** 10 },
  runtimes: [{ kind: 'js', version: '2.9.6', confinement: 'os' }],
  confinement: 'os',
  warnings: [],
  peers: 1,
  jobs: { running: 0, done: 1, cancelled: 0 },
  paused: null,
  working: {
    running: 1,
    queued: 4,
    total: 128,
    shares: [
      { peer: '12D3KooWcalmheron9fQ', name: 'calm-heron', weight: 2.5, slotMs: 90_000, running: 1, queued: 4 },
      { peer: '12D3KooWswiftotter9fQ', name: 'swift-otter', weight: 4, slotMs: 30_000, running: 0, queued: 0 },
    ],
  },
})

const peer = (name: string, facts: Partial<PeerInfo> = {}): PeerInfo => ({
  schema: 'talkoot.peer/1',
  id: `12D3KooW${name.replace('-', '')}9fQ`,
  name,
  role: 'member',
  trust: 'member',
  self: false,
  connected: true,
  direction: facts.self ? null : 'inbound',
  address: facts.self ? null : '/ip4/127.0.0.1/tcp/4802',
  ad: {
    v: 1,
    peer: `12D3KooW${name.replace('-', '')}9fQ`,
    mesh: '12D3KooWmesh',
    seq: 1,
    ttlMs: 60_000,
    name,
    version: '0.1.0',
    os: 'linux',
    arch: 'x64',
    cpus: 2,
    memory: 2 ** 31,
    disk: 2 ** 30,
    speed: 1.25,
    freeSlots: 1,
    runtimes: [{ kind: 'js', version: '2.9.6', confinement: 'os' }],
    labels: { room: 'b12' },
    reach: 'dialable',
    strangers: true,
    addresses: ['/ip4/127.0.0.1/tcp/4802'],
    paused: null,
  },
  lastSeenMs: 400,
  standing: { agreed: 10, outvoted: 0, lapsed: 1, faulty: 0 },
  credit: creditOf(facts.trust ?? 'member', facts.self ? null : { checks: 8, caught: 0, ageMs: 30 * 24 * 3_600_000 }),
  share: facts.self ? null : { weight: 2.5, slotMs: 90_000, running: 1, queued: 4 },
  servedMs: facts.self ? 0 : 3_600_000,
  liar: false,
  rule: null,
  notes: [],
  ...facts,
})
