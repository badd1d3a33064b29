/** What a node can be asked for over its local API. */

import type { Ad } from '../protocol/ad.ts'
import type { Status } from '../protocol/api.ts'
import { TalkootError } from '../protocol/errors.ts'
import { fingerprintOf } from '../protocol/fingerprint.ts'
import { VERSION } from '../protocol/version.ts'
import type { NodeServices } from './api/services.ts'
import type { JobService } from './jobs/job-service.ts'
import { ReceiptExport } from './jobs/receipt-export.ts'
import type { Removals } from './jobs/removals.ts'
import { reproductionOf } from './jobs/reproduce.ts'
import { UnitTails } from './jobs/unit-tails.ts'
import type { MeshNode } from './mesh/create.ts'
import type { Offer } from './offer.ts'
import { PeerDirectory } from './peer-directory.ts'
import type { Runtimes } from './runtimes/runtimes.ts'
import type { BlobStore } from './store/blobs.ts'
import type { EvidenceStore } from './store/evidence.ts'
import type { JobStore } from './store/job-store.ts'
import type { SqliteMeshStore } from './store/mesh-store.ts'
import type { PeerRuleStore } from './store/peer-rules.ts'
import type { ReceiptStore } from './store/receipt-store.ts'
import type { TreeStore } from './store/tree-store.ts'
import type { TreeUploads } from './store/tree-uploads.ts'
import type { OwnerPause } from './worker/owner-pause.ts'
import type { Worker } from './worker/worker.ts'

type Components = {
  mesh: MeshNode
  meshStore: SqliteMeshStore
  jobs: JobService
  removals: Removals
  runtimes: Runtimes
  worker: Worker
  pause: OwnerPause
  blobs: BlobStore
  trees: TreeStore
  uploads: TreeUploads
  unitTrees: TreeStore
  /** Told of passing failures of peers. */
  onError(error: unknown): void
  evidence: EvidenceStore
  rules: PeerRuleStore
  jobStore: JobStore
  receiptStore: ReceiptStore
  offer: Offer
  ownAd(): Ad
}

type Init = { apiUrl(): string; requestStop(): void; stopping: AbortSignal }

export function nodeServices(components: Components, init: Init): NodeServices {
  const { mesh, meshStore, jobs, blobs, jobStore, receiptStore } = components
  const receipts = new ReceiptExport({
    jobs: jobStore,
    receipts: receiptStore,
    blobs,
    signer: mesh.signer,
    chainOf: (peer) => mesh.chainOf(peer),
  })
  const tails = new UnitTails({ ...components, explain: jobs.explain })
  const reproducing = {
    jobs: jobStore,
    blobs,
    trees: components.trees,
    runtimes: components.runtimes,
    now: () => performance.now(),
  }
  const peers = new PeerDirectory(components)
  const startedAt = performance.now()
  const statusNow = () => status(components, init.apiUrl(), performance.now() - startedAt)
  return {
    status: statusNow,
    pause: (forMs) => {
      components.pause.pause(forMs)
      return statusNow()
    },
    resume: () => {
      components.pause.resume()
      return statusNow()
    },
    peers: () => peers.list(),
    peer: (idOrName) => peers.find(idOrName),
    evidence: () => ({ schema: 'talkoot.evidence/1', peers: components.evidence.all(Date.now()) }),
    setPeerRule: (target, request) => peers.setRule(target, request),
    clearPeerRule: (target, verdict) => peers.clearRule(target, verdict),
    createToken: async (request) => {
      const { text, info } = mesh.createToken(request)
      const { id, role, usesMax: uses, createdAt, expiresAt } = info
      return { schema: 'talkoot.token/1', id, token: text, role, uses, expiresInMs: expiresAt - createdAt }
    },
    tokens: () => ({
      schema: 'talkoot.tokens/1',
      tokens: mesh.listTokens().map(({ id, role, usesMax, usesLeft, expiresAt, state }) => ({
        id,
        role,
        uses: usesMax,
        usesLeft,
        expiresInMs: Math.max(0, expiresAt - Date.now()),
        state,
        members: meshStore.tokenUsers(id),
      })),
    }),
    revokeToken: async (id, options) => {
      await mesh.revokeToken(id, options)
      return { schema: 'talkoot.revoked/1', id, members: options.members ? meshStore.tokenUsers(id) : [] }
    },
    putBlob: (digest, bytes) => ({
      schema: 'talkoot.blob/1',
      digest: blobs.put(bytes, digest),
      bytes: bytes.length,
    }),
    unitFiles: (digest) => components.unitTrees.hold(digest, init.stopping),
    beginTree: (digest, description) => components.uploads.begin(digest, description, init.stopping),
    takeChunks: (digest, chunks, bytes) => components.uploads.take(digest, chunks, bytes),
    submit: async (request, options) => {
      checkSubmits(mesh)
      return await jobs.submit({ ...request, retryOf: null }, options)
    },
    retry: async (id, request, options) => {
      checkSubmits(mesh)
      return await jobs.retry(id, request, options)
    },
    plan: (request) => jobs.explain.plan(request),
    jobs: () => ({ schema: 'talkoot.jobs/1', jobs: jobs.list() }),
    job: (id) => jobs.info(id),
    cancel: (id) => jobs.cancel(id),
    remove: (ids) => components.removals.remove(ids),
    explainJob: (id) => jobs.explain.job(id),
    explainUnit: (id, unit) => jobs.explain.unit(id, unit),
    logs: (id, unit) => jobs.logs(id, unit),
    follow: (id, unit, signal) => tails.follow(id, unit, signal),
    explainPeer: (idOrName) => {
      const { id, notes } = peers.find(idOrName)
      return jobs.explain.peer(id, notes)
    },
    hold: (id) => jobs.hold(id),
    release: (id) => jobs.release(id),
    watchJob: (id, signal) => jobs.watch(id, signal),
    results: (id, query, signal) => jobs.results(id, query, signal),
    receipts: (id, signal) => receipts.lines(id, signal),
    reproduce: (id, unit) => reproductionOf(reproducing, id, unit),
    requestStop: init.requestStop,
  }
}

/** Every other machine would refuse its units one by one, and the job would wait for ever. @throws E_ROLE */
function checkSubmits(mesh: MeshNode): void {
  if (mesh.status().role === 'worker') {
    throw new TalkootError('E_ROLE', 'this node joined as worker: it may not submit work')
  }
}

function status(components: Components, url: string, uptimeMs: number): Status {
  const { mesh, jobs, worker, pause, offer, ownAd, trees, unitTrees } = components
  const ad = ownAd()
  const { slots, busy, queued, total } = worker.facts()
  const { mesh: facts, role, addresses } = mesh.status()
  const halted = jobs.halted
  return {
    schema: 'talkoot.status/1',
    version: VERSION,
    peer: mesh.peerId,
    name: ad.name,
    mesh: {
      id: facts.id,
      fingerprint: fingerprintOf(facts.id),
      kind: facts.kind,
      role,
      invitation: invitationOf(mesh),
    },
    pid: process.pid,
    uptimeMs,
    listen: addresses,
    url,
    offering: { cpus: ad.cpus, memory: ad.memory, disk: ad.disk, slots, slotsUsed: busy },
    disk: { budget: trees.budget, used: trees.used, unitFiles: unitTrees.used },
    runtimes: ad.runtimes,
    confinement: offer.probe?.confinement ?? null,
    warnings:
      halted === null ? offer.warnings : [...offer.warnings, `${halted.code}: ${halted.message}; ${halted.hint}`],
    peers: mesh.peers().length,
    jobs: jobs.counts(),
    paused: pause.facts(),
    working: { running: busy, queued, total, shares: sharesOf(worker, mesh, ad) },
  }
}

function sharesOf(worker: Worker, mesh: MeshNode, own: Ad): Status['working']['shares'] {
  const names = new Map(mesh.peers().map(({ id, ad }) => [id, ad.name]))
  names.set(mesh.peerId, own.name)
  return worker.shares().map((share) => ({ ...share, name: names.get(share.peer) ?? '' }))
}

/** What a stranger needs to come into an open mesh; null for a private one, or one that nobody could dial. */
function invitationOf(mesh: MeshNode): string | null {
  const { mesh: facts, addresses } = mesh.status()
  return facts.kind === 'open' && addresses.length > 0 ? mesh.invite() : null
}
