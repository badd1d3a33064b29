/** What a node can be asked for over its local API. */

import type { Ad } from '../protocol/ad.ts'
import type { PeerInfo, Peers, Status } from '../protocol/api.ts'
import { TalkootError } from '../protocol/errors.ts'
import { fingerprintOf } from '../protocol/fingerprint.ts'
import { VERSION } from '../protocol/version.ts'
import type { NodeServices } from './api/services.ts'
import type { JobService } from './jobs/job-service.ts'
import { ReceiptExport } from './jobs/receipt-export.ts'
import type { MeshNode } from './mesh/create.ts'
import type { AdmittedPeer } from './mesh/mesh.ts'
import type { Offer } from './offer.ts'
import type { BlobStore } from './store/blobs.ts'
import type { EvidenceStore } from './store/evidence.ts'
import type { JobStore } from './store/job-store.ts'
import type { SqliteMeshStore } from './store/mesh-store.ts'
import type { ReceiptStore } from './store/receipt-store.ts'
import type { OwnerPause } from './worker/owner-pause.ts'
import type { Worker } from './worker/worker.ts'

/** From this many outvoted results on, one in twenty of all, a peer is called a liar; and who is caught while a confidence is asked. */
const LIAR_OUTVOTED_MIN = 3
const LIAR_SHARE = 0.05

type Components = {
  mesh: MeshNode
  meshStore: SqliteMeshStore
  jobs: JobService
  worker: Worker
  pause: OwnerPause
  blobs: BlobStore
  evidence: EvidenceStore
  jobStore: JobStore
  receiptStore: ReceiptStore
  offer: Offer
  ownAd(): Ad
}

type Init = { apiUrl(): string; requestStop(): void }

export function nodeServices(components: Components, init: Init): NodeServices {
  const { mesh, meshStore, jobs, blobs, jobStore, receiptStore } = components
  const receipts = new ReceiptExport({
    jobs: jobStore,
    receipts: receiptStore,
    blobs,
    signer: mesh.signer,
    chainOf: (peer) => mesh.chainOf(peer),
  })
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
    submit: async (request, options) => {
      // Every other machine would refuse its units one by one, and the job would wait for ever.
      if (mesh.status().role === 'worker') {
        throw new TalkootError('E_ROLE', 'this node joined as worker: it may not submit work')
      }
      return await jobs.submit(request, options)
    },
    plan: (request) => jobs.explain.plan(request),
    jobs: () => ({ schema: 'talkoot.jobs/1', jobs: jobs.list() }),
    job: (id) => jobs.info(id),
    cancel: (id) => jobs.cancel(id),
    explainJob: (id) => jobs.explain.job(id),
    explainUnit: (id, unit) => jobs.explain.unit(id, unit),
    explainPeer: (idOrName) => {
      const { id, notes } = peers.find(idOrName)
      return jobs.explain.peer(id, notes)
    },
    hold: (id) => jobs.hold(id),
    release: (id) => jobs.release(id),
    watchJob: (id, signal) => jobs.watch(id, signal),
    results: (id, query, signal) => jobs.results(id, query, signal),
    receipts: (id, signal) => receipts.lines(id, signal),
    requestStop: init.requestStop,
  }
}

function status({ mesh, jobs, worker, pause, offer, ownAd }: Components, url: string, uptimeMs: number): Status {
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

/** This node and its peers, with what this node has seen of each. */
class PeerDirectory {
  readonly #components: Components

  constructor(components: Components) {
    this.#components = components
  }

  list(): Peers {
    const { mesh } = this.#components
    const now = Date.now()
    const refused = mesh
      .refusals()
      .map(({ peer, address, code, count, at }) => ({ peer, address, code, count, agoMs: Math.max(0, now - at) }))
    return {
      schema: 'talkoot.peers/1',
      peers: [this.#self(), ...mesh.peers().map((peer) => this.#other(peer))],
      refused,
    }
  }

  /** By id, unique start or end of an id, or name. @throws E_NOT_FOUND */
  find(wanted: string): PeerInfo {
    const { peers } = this.list()
    const found = peers.filter(({ id, name }) => id === wanted || name === wanted || id.endsWith(wanted))
    const [peer] = found
    if (peer === undefined || wanted === '') throw new TalkootError('E_NOT_FOUND', `no peer ${wanted}`)
    if (found.length > 1)
      throw new TalkootError('E_NOT_FOUND', `${found.length} peers are called ${wanted}: give the id`)
    return peer
  }

  #self(): PeerInfo {
    const { mesh, ownAd } = this.#components
    const place = { connected: true, direction: null, address: null, lastSeenMs: 0 }
    return this.#info(mesh.peerId, { ad: ownAd(), role: mesh.status().role, trust: 'self', ...place })
  }

  #other({ id, role, ad, direction, address }: AdmittedPeer): PeerInfo {
    const trust = role === 'stranger' ? 'stranger' : 'member'
    const lastSeenMs = this.#components.mesh.lastSeenMs(id)
    return this.#info(id, { ad, role, trust, connected: true, direction, address, lastSeenMs })
  }

  #info(
    id: string,
    facts: Pick<PeerInfo, 'role' | 'trust' | 'connected' | 'direction' | 'address' | 'lastSeenMs'> & { ad: Ad },
  ): PeerInfo {
    const standing = this.#components.evidence.standing(id)
    const { agreed, outvoted } = standing
    const caught = this.#components.evidence.isCaught(id)
    const liar = caught || (outvoted >= LIAR_OUTVOTED_MIN && outvoted >= LIAR_SHARE * (agreed + outvoted))
    const notes = liar ? [`returned wrong results: outvoted on ${outvoted} of ${agreed + outvoted} units`] : []
    if (facts.ad.paused !== null) notes.push('paused by its owner')
    const self = facts.trust === 'self'
    const { peer: _peer, ...share } = this.#components.worker.shareOf(id) ?? { peer: id }
    const servedMs = this.#components.evidence.servedMs(id)
    return {
      schema: 'talkoot.peer/1',
      id,
      name: facts.ad.name,
      self,
      standing,
      share: 'weight' in share ? share : null,
      servedMs,
      liar,
      notes,
      ...facts,
    }
  }
}
