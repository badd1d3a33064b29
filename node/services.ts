/** What a node can be asked for over its local API. */

import type { Ad } from '../protocol/ad.ts'
import { TalkootError } from '../protocol/errors.ts'
import type { NodeServices } from './api/services.ts'
import type { Ground } from './ground.ts'
import type { JobService } from './jobs/job-service.ts'
import { ReceiptExport } from './jobs/receipt-export.ts'
import type { Removals } from './jobs/removals.ts'
import { reproductionOf } from './jobs/reproduce.ts'
import { UnitTails } from './jobs/unit-tails.ts'
import type { MeshNode } from './mesh/create.ts'
import type { Offer } from './offer.ts'
import { PeerDirectory } from './peer-directory.ts'
import { statusOf } from './status.ts'
import type { OwnerPause } from './worker/owner-pause.ts'
import type { Worker } from './worker/worker.ts'

type Components = Ground & {
  mesh: MeshNode
  jobs: JobService
  removals: Removals
  worker: Worker
  pause: OwnerPause
  offer: Offer
  ownAd(): Ad
}

type Init = { apiUrl(): string; requestStop(): void; stopping: AbortSignal }

export function nodeServices(components: Components, init: Init): NodeServices {
  return {
    ...machineServices(components, init),
    ...peerServices(components),
    ...tokenServices(components),
    ...fileServices(components, init),
    ...jobServices(components),
    ...unitServices(components),
  }
}

type Services<Name extends keyof NodeServices> = Pick<NodeServices, Name>

function machineServices(
  components: Components,
  { apiUrl, requestStop }: Init,
): Services<'status' | 'pause' | 'resume' | 'requestStop'> {
  const { pause, now } = components
  const startedAt = now()
  const status = () => statusOf(components, { url: apiUrl(), uptimeMs: now() - startedAt })
  return {
    status,
    pause: (forMs) => {
      pause.pause(forMs)
      return status()
    },
    resume: () => {
      pause.resume()
      return status()
    },
    requestStop,
  }
}

function peerServices(
  components: Components,
): Services<'peers' | 'peer' | 'evidence' | 'setPeerRule' | 'clearPeerRule' | 'explainPeer'> {
  const { evidence, jobs, wallClock } = components
  const peers = new PeerDirectory(components)
  return {
    peers: () => peers.list(),
    peer: (idOrName) => peers.find(idOrName),
    evidence: () => ({ schema: 'talkoot.evidence/1', peers: evidence.all(wallClock()) }),
    setPeerRule: (target, request) => peers.setRule(target, request),
    clearPeerRule: (target, verdict) => peers.clearRule(target, verdict),
    explainPeer: (idOrName) => {
      const { id, notes } = peers.find(idOrName)
      return jobs.explain.peer(id, notes)
    },
  }
}

function tokenServices({ mesh, meshStore, wallClock }: Components): Services<'createToken' | 'tokens' | 'revokeToken'> {
  return {
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
        expiresInMs: Math.max(0, expiresAt - wallClock()),
        state,
        members: meshStore.tokenUsers(id),
      })),
    }),
    revokeToken: async (id, options) => {
      await mesh.revokeToken(id, options)
      return { schema: 'talkoot.revoked/1', id, members: options.members ? meshStore.tokenUsers(id) : [] }
    },
  }
}

function fileServices(
  { blobs, uploads, unitTrees }: Components,
  { stopping }: Init,
): Services<'putBlob' | 'beginTree' | 'takeChunks' | 'unitFiles'> {
  return {
    putBlob: (digest, bytes) => ({
      schema: 'talkoot.blob/1',
      digest: blobs.put(bytes, digest),
      bytes: bytes.length,
    }),
    beginTree: (digest, description) => uploads.begin(digest, description, stopping),
    takeChunks: (digest, chunks, bytes) => uploads.take(digest, chunks, bytes),
    unitFiles: (digest) => unitTrees.hold(digest, stopping),
  }
}

function jobServices({
  mesh,
  jobs,
  removals,
}: Components): Services<
  'submit' | 'retry' | 'plan' | 'jobs' | 'job' | 'cancel' | 'remove' | 'hold' | 'release' | 'explainJob' | 'watchJob'
> {
  return {
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
    remove: (ids) => removals.remove(ids),
    hold: (id) => jobs.hold(id),
    release: (id) => jobs.release(id),
    explainJob: (id) => jobs.explain.job(id),
    watchJob: (id, signal) => jobs.watch(id, signal),
  }
}

function unitServices(
  components: Components,
): Services<'results' | 'receipts' | 'explainUnit' | 'logs' | 'follow' | 'reproduce'> {
  const { jobs, mesh, jobStore, receiptStore } = components
  const receipts = new ReceiptExport({
    ...components,
    jobs: jobStore,
    receipts: receiptStore,
    signer: mesh.signer,
    chainOf: (peer) => mesh.chainOf(peer),
  })
  const tails = new UnitTails({ ...components, explain: jobs.explain })
  return {
    results: (id, query, signal) => jobs.results(id, query, signal),
    receipts: (id, signal) => receipts.lines(id, signal),
    explainUnit: (id, unit) => jobs.explain.unit(id, unit),
    logs: (id, unit) => jobs.logs(id, unit),
    follow: (id, unit, signal) => tails.follow(id, unit, signal),
    reproduce: (id, unit) => reproductionOf({ ...components, jobs: jobStore }, id, unit),
  }
}

/** Every other machine would refuse its units one by one, and the job would wait for ever. @throws E_ROLE */
function checkSubmits(mesh: MeshNode): void {
  if (mesh.status().role === 'worker') {
    throw new TalkootError('E_ROLE', 'this node joined as worker: it may not submit work')
  }
}
