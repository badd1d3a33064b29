/** The composition root: the one place where a node's components are built, wired, started and stopped. */

import { randomInt } from 'node:crypto'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Ad } from '../protocol/ad.ts'
import { LIMITS } from '../protocol/limits.ts'
import { decodeToken } from '../protocol/membership/index.ts'
import { LOGS_PROTOCOL } from '../protocol/tail.ts'
import { WORK_PROTOCOL } from '../protocol/work.ts'
import { ApiServer } from './api/server.ts'
import type { NodeServices } from './api/services.ts'
import { Cleanup } from './cleanup.ts'
import type { Settings } from './config.ts'
import { type Ground, type GroundInit, layGround } from './ground.ts'
import { IdleMemory } from './idle-memory.ts'
import { JobService } from './jobs/job-service.ts'
import { JobTrees } from './jobs/job-trees.ts'
import { Removals } from './jobs/removals.ts'
import { createScheduler } from './jobs/scheduler/scheduler.ts'
import { UnitFilesOfJobs } from './jobs/unit-files.ts'
import { fetchBlob, serveBlobs } from './mesh/blob-exchange.ts'
import { createMesh, type MeshInit, type MeshNode } from './mesh/create.ts'
import { DHT_DEFAULT, DHT_LIGHT } from './mesh/host.ts'
import { TreeExchange } from './mesh/trees/tree-exchange.ts'
import { type MachineAd, Offer } from './offer.ts'
import { nodeServices } from './services.ts'
import type { FetchTree } from './worker/inputs.ts'
import { OwnerPause } from './worker/owner-pause.ts'
import type { DescribeTree } from './worker/point-files.ts'
import { Worker } from './worker/worker.ts'

type NodeInit = GroundInit & {
  /** A join token; the node joins that mesh before anything else. */
  join?: string | undefined
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
  const ground = layGround(init, cleanup)
  const offer = new Offer(ground, { settings, stateFolder: paths.state })
  const { complete } = await offer.prove()
  init.onProgress?.('sandbox')

  const describe = () => offer.describe(worker.facts().busy, pause.facts())
  const mesh = await createMesh({ store: ground.meshStore }, meshInit(settings, describe))
  const fetching = exchangeTrees({ ...ground, mesh }, cleanup)
  const worker = buildWorker({ ...ground, mesh, ...fetching, offer }, settings)
  const adChanged = () => {
    mesh.adChanged()
    jobs.ownAdChanged()
  }
  const pause = new OwnerPause({
    ...ground,
    store: ground.pauseStore,
    onChange: (paused) => {
      worker.pause(paused)
      adChanged()
    },
  })
  await enterMesh({ ...ground, mesh, worker }, init.join, cleanup)
  init.onProgress?.('mesh')

  const ownAd = () => adOf(describe(), mesh, settings)
  const { jobs, removals } = buildJobs({ ...ground, mesh, worker, ...fetching, ownAd }, cleanup)
  const idleMemory = new IdleMemory({ isIdle: () => worker.facts().busy === 0 && jobs.counts().running === 0 })
  for (const part of [pause, jobs, removals, idleMemory]) {
    cleanup.add(() => part.stop())
    part.start()
  }
  void complete.then(adChanged)

  const stopping = new AbortController()
  cleanup.add(() => stopping.abort())
  const stopped = Promise.withResolvers<void>()
  const stop = () => cleanup.run().then(stopped.resolve)
  const services = nodeServices(
    { ...ground, mesh, jobs, removals, worker, pause, offer, ownAd },
    { apiUrl: () => api.url, requestStop: () => setImmediate(stop), stopping: stopping.signal },
  )
  const server = new ApiServer({ services, log }, { port: settings.apiPort, addressFile: paths.api })
  cleanup.add(() => server.stop())
  const api = await server.start()
  init.onProgress?.('api')
  return { services, api, stopped: stopped.promise, stop }
}

function meshInit(settings: Settings, describe: () => MachineAd): MeshInit {
  const { listen, announce, outboundOnly, mdns } = settings
  const dht = settings.dht === 'light' ? DHT_LIGHT : DHT_DEFAULT
  return { describe, listen, announce, outboundOnly, mdns, dht, found: { kind: settings.mesh, name: settings.name } }
}

type FetchingTrees = { fetchTree: FetchTree; describeTree: DescribeTree }

function exchangeTrees({ mesh, trees, now, random }: Ground & { mesh: MeshNode }, cleanup: Cleanup): FetchingTrees {
  const exchange = new TreeExchange({ mesh, trees, now, random })
  cleanup.add(() => exchange.stop())
  return {
    fetchTree: (from, { digest, bytes }, { signal, part, onFetched = () => undefined }) =>
      exchange.fetch(digest, { from: [from], maxBytes: bytes, signal, part, onProgress: onFetched }),
    describeTree: (from, digest, signal) => exchange.describe(digest, from, signal),
  }
}

type WorkerParts = Ground & FetchingTrees & { mesh: MeshNode; offer: Offer }

function buildWorker(parts: WorkerParts, settings: Settings): Worker {
  const { mesh, offer, blobs, evidence, rules } = parts
  return new Worker(
    {
      ...parts,
      runtimeVersion: (kind) => offer.versionOf(kind),
      signer: mesh.signer,
      fetchTask: async (from, digest, length, signal) => {
        if (blobs.has(digest)) return blobs.get(digest)
        const bounded = AbortSignal.any([signal, AbortSignal.timeout(LIMITS.REQUEST_TIMEOUT_MS)])
        return await fetchBlob(mesh, from, { digest, length }, bounded)
      },
      doneFor: (peer) => evidence.servedMs(peer),
      isBlocked: (peer) => {
        const known = mesh.peers().find(({ id }) => id === peer)
        return rules.of(peer, known?.ad ?? null)?.verdict === 'blocked'
      },
    },
    { ...settings, slots: offer.slots, confinement: offer.confinement ?? 'runtime' },
  )
}

type MeshParts = Ground & { mesh: MeshNode; worker: Worker }

/** What others ask is answered from the first connection on. */
async function enterMesh(parts: MeshParts, token: string | undefined, cleanup: Cleanup): Promise<void> {
  const { mesh, worker, blobs } = parts
  watchPeers(parts, cleanup)
  mesh.serve(LOGS_PROTOCOL, (channel, { id }) => worker.tail(channel, id))
  mesh.serve(WORK_PROTOCOL, (channel, peer) => worker.serve(channel, peer))
  serveBlobs(mesh, blobs)
  if (token !== undefined) await join(mesh, token)
  cleanup.add(() => mesh.stop())
  await mesh.start()
  cleanup.add(() => worker.stop())
  worker.start()
}

/** A machine whose start script always names its token is a member already when it starts again. */
async function join(mesh: MeshNode, token: string): Promise<void> {
  try {
    await mesh.join(token, AbortSignal.timeout(LIMITS.JOIN_TIMEOUT_MS))
  } catch (error) {
    if (decodeToken(token).mesh !== mesh.meshId) throw error
  }
}

function watchPeers({ mesh, worker, receiptStore, rules }: MeshParts, cleanup: Cleanup): void {
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

type JobParts = Ground & { mesh: MeshNode; worker: Worker; fetchTree: FetchTree; ownAd(): Ad }

function buildJobs(parts: JobParts, cleanup: Cleanup): { jobs: JobService; removals: Removals } {
  const { mesh, jobStore, evidence, wallClock } = parts
  const unitFiles = new UnitFilesOfJobs({ ...parts, named: jobStore.unitFiles })
  cleanup.add(() => unitFiles.stop())
  const jobTrees = new JobTrees(parts)
  const jobs = new JobService({
    ...parts,
    jobs: jobStore,
    trees: jobTrees,
    unitFiles,
    scheduler: createScheduler({
      random: xoroshiro128plus(randomInt(2 ** 31)),
      credit: (peer) => evidence.creditAt(peer, wallClock()),
    }),
    signer: mesh.signer,
  })
  const removals = new Removals({ ...parts, reports: jobStore.reports, jobs, jobTrees, loose: unitFiles.loose })
  return { jobs, removals }
}

/** As others see this machine, but for what only an ad that is sent has: a number and addresses. */
const adOf = (machine: MachineAd, { peerId, meshId }: MeshNode, { outboundOnly }: Settings): Ad => ({
  ...machine,
  v: 1,
  peer: peerId,
  mesh: meshId,
  seq: 0,
  ttlMs: LIMITS.AD_TTL_MS,
  reach: outboundOnly ? 'outbound' : 'dialable',
  addresses: [],
})
