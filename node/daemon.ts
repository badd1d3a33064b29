/** The composition root: the one place where a node's components are built, wired, started and stopped. */

import { randomInt } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import type { Logger } from 'pino'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Ad } from '../protocol/ad.ts'
import type { StatePaths } from '../protocol/home.ts'
import { LIMITS } from '../protocol/limits.ts'
import { decodeToken } from '../protocol/membership/index.ts'
import { LOGS_PROTOCOL } from '../protocol/tail.ts'
import { WORK_PROTOCOL } from '../protocol/work.ts'
import { ApiServer } from './api/server.ts'
import type { NodeServices } from './api/services.ts'
import { Cleanup } from './cleanup.ts'
import type { Settings } from './config.ts'
import { IdleMemory } from './idle-memory.ts'
import { JobService } from './jobs/job-service.ts'
import { JobTrees } from './jobs/job-trees.ts'
import { Removals } from './jobs/removals.ts'
import { createScheduler } from './jobs/scheduler/scheduler.ts'
import { UnitFilesOfJobs } from './jobs/unit-files.ts'
import { fetchBlob, serveBlobs } from './mesh/blob-exchange.ts'
import { createMesh, type MeshNode } from './mesh/create.ts'
import { DHT_DEFAULT, DHT_LIGHT } from './mesh/host.ts'
import { TreeExchange } from './mesh/trees/tree-exchange.ts'
import { type Offer, probeOffer } from './offer.ts'
import { openRuntimes } from './runtimes/open.ts'
import type { Runtime, RuntimeInit } from './runtimes/runtime.ts'
import type { Runtimes } from './runtimes/runtimes.ts'
import { nodeServices } from './services.ts'
import { BlobStore } from './store/blobs.ts'
import { EvidenceStore } from './store/evidence.ts'
import { JobRemoval } from './store/job-removal.ts'
import { JobStore } from './store/job-store.ts'
import { openLedger } from './store/ledger.ts'
import { SqliteMeshStore } from './store/mesh-store.ts'
import { SqlitePauseStore } from './store/pause-store.ts'
import { PeerNumbers } from './store/peer-numbers.ts'
import { PeerRuleStore } from './store/peer-rules.ts'
import { ReceiptStore } from './store/receipt-store.ts'
import { takeStateFolder } from './store/state-folder.ts'
import { TreeStore } from './store/tree-store.ts'
import { TreeUploads } from './store/tree-uploads.ts'
import type { FetchTree } from './worker/inputs.ts'
import { OwnerPause } from './worker/owner-pause.ts'
import { Worker } from './worker/worker.ts'

export type NodeInit = {
  paths: StatePaths
  settings: Settings
  /** A join token; the node joins that mesh before anything else. */
  join?: string | undefined
  log: Logger
  /** What runs js units, if not the runtime of this machine. */
  openRuntime?(init: RuntimeInit): Runtime
  /** Told what has been done, for a person who waits. */
  onProgress?(step: 'sandbox' | 'mesh' | 'api'): void
}

export type RunningNode = {
  services: NodeServices
  api: { url: string; token: string }
  /** Gives back the work of others, keeps everything, ends every process it started. Idempotent. */
  stop(): Promise<void>
  /** Settles when the node has stopped, whoever asked for it. */
  stopped: Promise<void>
}

/**
 * @throws E_ALREADY_RUNNING, E_STATE_UNSAFE, E_LEDGER_*, E_PORT and what joining can meet; whatever was started by
 * then is stopped again
 */
export async function startNode(init: NodeInit): Promise<RunningNode> {
  const cleanup = new Cleanup((error) => init.log.warn({ err: error }, 'while stopping'))
  try {
    return await compose(init, cleanup)
  } catch (error) {
    await cleanup.run()
    throw error
  }
}

async function compose(init: NodeInit, cleanup: Cleanup): Promise<RunningNode> {
  const { paths, settings, log } = init
  const stores = openStores(paths, settings, cleanup)
  const runtimes = startRuntimes(init, cleanup)
  const offer = await probeOffer(runtimes, settings, paths.state)
  init.onProgress?.('sandbox')

  const mesh = await createMesh(
    { store: stores.meshStore },
    {
      describe: () => offer.describe(worker.facts().busy, pause.facts()),
      listen: settings.listen,
      announce: settings.announce,
      outboundOnly: settings.outboundOnly,
      mdns: settings.mdns,
      dht: settings.dht === 'light' ? DHT_LIGHT : DHT_DEFAULT,
      found: { kind: settings.mesh, name: settings.name },
    },
  )
  const exchange = new TreeExchange({ mesh, trees: stores.trees, now: () => performance.now(), random: Math.random })
  const fetchTree: FetchTree = (from, { digest, bytes }, { signal, onFetched = () => undefined }) =>
    exchange.fetch(digest, { from: [from], maxBytes: bytes, signal, onProgress: onFetched })
  cleanup.add(() => exchange.stop())
  const worker = buildWorker({ ...stores, runtimes, mesh, fetchTree, offer }, init)
  const pause = new OwnerPause({
    store: stores.pauseStore,
    wallClock: Date.now,
    onChange: (paused) => {
      worker.pause(paused)
      mesh.adChanged()
      jobs.ownAdChanged()
    },
    onError: passing(log),
  })
  watchPeers({ mesh, worker, ...stores }, cleanup)
  mesh.serve(LOGS_PROTOCOL, (channel, { id }) => worker.tail(channel, id))
  mesh.serve(WORK_PROTOCOL, (channel, peer) => worker.serve(channel, peer))
  serveBlobs(mesh, stores.blobs)
  if (init.join !== undefined) await join(mesh, init.join)
  cleanup.add(() => mesh.stop())
  await mesh.start()
  cleanup.add(() => worker.stop())
  worker.start()
  init.onProgress?.('mesh')

  // As others see it, but for what only an ad that is sent has: a number and addresses.
  const ownAd = (): Ad => ({
    ...offer.describe(worker.facts().busy, pause.facts()),
    v: 1,
    peer: mesh.peerId,
    mesh: mesh.meshId,
    seq: 0,
    ttlMs: LIMITS.AD_TTL_MS,
    reach: settings.outboundOnly ? 'outbound' : 'dialable',
    addresses: [],
  })
  const unitFiles = new UnitFilesOfJobs({
    ...stores,
    named: stores.jobStore.unitFiles,
    fetchTree,
    onError: passing(log),
  })
  cleanup.add(() => unitFiles.stop())
  const jobTrees = new JobTrees({ ...stores, onError: passing(log) })
  const jobs = new JobService({
    ...stores,
    jobs: stores.jobStore,
    trees: jobTrees,
    unitFiles,
    scheduler: createScheduler({
      random: xoroshiro128plus(randomInt(2 ** 31)),
      credit: (peer) => stores.evidence.creditAt(peer, Date.now()),
    }),
    mesh,
    worker,
    runtimes,
    signer: mesh.signer,
    ownAd,
    now: () => performance.now(),
    wallClock: Date.now,
    random: Math.random,
    onError: passing(log),
  })
  cleanup.add(() => jobs.stop())
  void offer.complete.then(() => {
    mesh.adChanged()
    jobs.ownAdChanged()
  })
  cleanup.add(() => pause.stop())
  pause.start()
  jobs.start()
  const removals = new Removals({
    ...stores,
    reports: stores.jobStore.reports,
    jobs,
    jobTrees,
    loose: unitFiles.loose,
    now: () => performance.now(),
    onError: passing(log),
  })
  cleanup.add(() => removals.stop())
  removals.start()

  const idleMemory = new IdleMemory({
    isIdle: () => worker.facts().busy === 0 && jobs.counts().running === 0,
  })
  cleanup.add(() => idleMemory.stop())
  idleMemory.start()

  const stopping = new AbortController()
  cleanup.add(() => stopping.abort())
  const stopped = Promise.withResolvers<void>()
  const stop = () => cleanup.run().then(stopped.resolve)
  const services = nodeServices(
    { ...stores, onError: passing(log), mesh, jobs, removals, runtimes, worker, pause, offer, ownAd },
    { apiUrl: () => api.url, requestStop: () => setImmediate(stop), stopping: stopping.signal },
  )
  const server = new ApiServer({ services, log }, { port: settings.apiPort, addressFile: paths.api })
  cleanup.add(() => server.stop())
  const api = await server.start()
  init.onProgress?.('api')
  return { services, api, stopped: stopped.promise, stop }
}

/** A machine whose start script always names its token is a member already when it starts again. */
async function join(mesh: MeshNode, token: string): Promise<void> {
  try {
    await mesh.join(token, AbortSignal.timeout(LIMITS.JOIN_TIMEOUT_MS))
  } catch (error) {
    if (decodeToken(token).mesh !== mesh.meshId) throw error
  }
}

type Watchers = { mesh: MeshNode; worker: Worker; receiptStore: ReceiptStore; rules: PeerRuleStore }

function watchPeers({ mesh, worker, receiptStore, rules }: Watchers, cleanup: Cleanup): void {
  const stopping = new AbortController()
  cleanup.add(() => stopping.abort())
  rules.watch(() => worker.rulesChanged(), stopping.signal)
  mesh.watch((event) => {
    if (event.type === 'peer.left') return
    const { id, ad } = event.peer
    // A peer may come to say that its operator is one that is blocked.
    if (rules.of(id, ad)?.verdict === 'blocked') worker.rulesChanged()
    // Whose key signed a receipt is to be known when the peer is long gone.
    if (event.type === 'peer.joined') receiptStore.keepChain(id, mesh.chainOf(id))
  }, stopping.signal)
}

function openStores(paths: StatePaths, settings: Settings, cleanup: Cleanup) {
  const folder = takeStateFolder(paths.state)
  cleanup.add(() => folder.release())
  const ledger = openLedger(paths.ledger)
  cleanup.add(() => ledger.close())
  const peers = new PeerNumbers(ledger)
  const trees = new TreeStore({ folder: paths.trees, budgetBytes: settings.diskMiB * 2 ** 20 })
  const uploads = new TreeUploads({ trees })
  cleanup.add(() => uploads.stop())
  return {
    ledger,
    evidence: new EvidenceStore({ ledger, peers }),
    jobStore: new JobStore({ ledger, peers }),
    removal: new JobRemoval({ ledger }),
    receiptStore: new ReceiptStore({ ledger, peers }),
    rules: new PeerRuleStore({ ledger, wallClock: Date.now }),
    meshStore: new SqliteMeshStore(ledger),
    pauseStore: new SqlitePauseStore(ledger),
    blobs: new BlobStore(paths.blobs),
    trees,
    uploads,
    // What own jobs gave is never given up for room: before there is too little of that on the disk, no more is fetched.
    unitTrees: new TreeStore({ folder: paths.unitFiles, budgetBytes: Number.POSITIVE_INFINITY }),
  }
}

function startRuntimes({ paths, openRuntime }: NodeInit, cleanup: Cleanup): Runtimes {
  const scratchDir = joinPath(paths.state, 'sandbox')
  mkdirSync(scratchDir, { recursive: true, mode: 0o700 })
  const runtimes = openRuntimes({ scratchDir }, openRuntime === undefined ? {} : { js: openRuntime })
  cleanup.add(() => runtimes.stop())
  return runtimes
}

type WorkerParts = {
  runtimes: Runtimes
  mesh: MeshNode
  blobs: BlobStore
  trees: TreeStore
  fetchTree: FetchTree
  evidence: EvidenceStore
  rules: PeerRuleStore
  offer: Offer
}

function buildWorker(
  { runtimes, mesh, blobs, trees, fetchTree, evidence, rules, offer }: WorkerParts,
  { settings, log }: NodeInit,
): Worker {
  return new Worker(
    {
      runtimes,
      runtimeVersion: (kind) => offer.versionOf(kind),
      signer: mesh.signer,
      fetchTask: async (from, digest, length, signal) => {
        if (blobs.has(digest)) return blobs.get(digest)
        const bounded = AbortSignal.any([signal, AbortSignal.timeout(LIMITS.REQUEST_TIMEOUT_MS)])
        return await fetchBlob(mesh, from, { digest, length }, bounded)
      },
      trees,
      fetchTree,
      doneFor: (peer) => evidence.servedMs(peer),
      isBlocked: (peer) => {
        const known = mesh.peers().find(({ id }) => id === peer)
        return rules.of(peer, known?.ad ?? null)?.verdict === 'blocked'
      },
      now: () => performance.now(),
      random: Math.random,
      onError: passing(log),
    },
    {
      slots: offer.slots,
      memoryMiB: settings.memoryMiB,
      confinement: offer.probe?.confinement ?? 'runtime',
      strangersWithoutOsSandbox: settings.strangersWithoutOsSandbox,
      shares: settings.shares,
      commands: settings.commands,
      python: settings.python,
    },
  )
}

/** Failures of single peers and streams: expected in a mesh, of interest only when looked for. */
const passing = (log: Logger) => (error: unknown) => log.debug({ err: error }, 'a passing failure')
