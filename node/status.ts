/** This machine as its owner asks for it: what it offers, what is taken of it, for whom it works. */

import type { Ad } from '../protocol/ad.ts'
import type { Status } from '../protocol/api.ts'
import { fingerprintOf } from '../protocol/fingerprint.ts'
import { VERSION } from '../protocol/version.ts'
import type { JobService } from './jobs/job-service.ts'
import type { MeshNode } from './mesh/create.ts'
import type { Offer } from './offer.ts'
import type { TreeStore } from './store/tree-store.ts'
import type { OwnerPause } from './worker/owner-pause.ts'
import type { Worker } from './worker/worker.ts'

type Components = {
  mesh: MeshNode
  jobs: JobService
  worker: Worker
  pause: OwnerPause
  offer: Offer
  ownAd(): Ad
  trees: TreeStore
  unitTrees: TreeStore
}

export function statusOf(
  { mesh, jobs, worker, pause, offer, ownAd, trees, unitTrees }: Components,
  { url, uptimeMs }: Pick<Status, 'url' | 'uptimeMs'>,
): Status {
  const ad = ownAd()
  const { slots, busy, queued, total } = worker.facts()
  const { mesh: facts, role, addresses } = mesh.status()
  const { halted } = jobs
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
    disk: {
      budget: trees.disk.bytes,
      used: trees.disk.used,
      images: trees.disk.usedBy('image'),
      unitFiles: unitTrees.disk.used,
    },
    runtimes: ad.runtimes,
    confinement: offer.confinement,
    warnings: [...offer.warnings, ...(halted === null ? [] : [`${halted.code}: ${halted.message}; ${halted.hint}`])],
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
