/** Sessions with workers: one to every admitted peer, and to this machine's own worker, while there is work to give. */

import type { Ad } from '../../protocol/ad.ts'
import { type ErrorCode, TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { JobId } from '../../protocol/manifest.ts'
import type { SignedReceipt } from '../../protocol/receipt.ts'
import { WORK_PROTOCOL } from '../../protocol/work.ts'
import { memoryChannels } from '../mesh/memory-channel.ts'
import type { AdmittedPeer, Channel, Mesh, Role } from '../mesh/mesh.ts'
import type { Worker } from '../worker/worker.ts'
import type { PeerId, SchedulerEvent, TrustClass } from './scheduler/events.ts'
import { WorkerSession } from './worker-session.ts'

type Components = {
  mesh: Mesh
  worker: Worker
  /** What this node offers, as others see it. */
  ownAd(): Ad
  signedManifest(job: JobId): { manifest: Uint8Array; signature: Uint8Array } | null
  onEvent(event: SchedulerEvent): void
  onReceipt(peer: PeerId, job: JobId, receipt: SignedReceipt): void
  random(): number
  onError(error: unknown): void
}

/** Absent sessions wait here for their next try. */
type Retry = { failures: number; timer: NodeJS.Timeout | null }

export class Dispatch {
  readonly #components: Components
  readonly #sessions = new Map<PeerId, WorkerSession>()
  readonly #opening = new Set<PeerId>()
  readonly #retries = new Map<PeerId, Retry>()
  readonly #stopping = new AbortController()
  #wanted = false

  constructor(components: Components) {
    this.#components = components
  }

  start(): void {
    this.#components.mesh.watch((event) => {
      if (event.type === 'peer.joined') this.#open(event.peer)
      if (event.type === 'peer.ad' && this.#sessions.has(event.peer.id)) {
        this.#components.onEvent({ type: 'peer.ad', peer: event.peer.id, ad: event.peer.ad })
      }
      if (event.type === 'peer.left') this.drop(event.id, event.code)
    }, this.#stopping.signal)
  }

  stop(): void {
    this.#stopping.abort()
    this.want(false)
  }

  /** Whether there is work to give: sessions are opened, or ended. */
  want(wanted: boolean): void {
    if (this.#wanted === wanted) return
    this.#wanted = wanted
    this.#components.mesh.wantWork(wanted)
    if (wanted) {
      this.#openOwn()
      for (const peer of this.#components.mesh.peers()) this.#open(peer)
      return
    }
    for (const { timer } of this.#retries.values()) if (timer !== null) clearTimeout(timer)
    this.#retries.clear()
    for (const session of this.#sessions.values()) session.end(new TalkootError('E_UNREACHABLE', 'no work is left'))
  }

  run(peer: PeerId, job: JobId, units: [number, string][]): void {
    this.#sessions.get(peer)?.run(job, units)
  }

  revoke(peer: PeerId, job: JobId, units: number[] | null): void {
    this.#sessions.get(peer)?.revoke(job, units)
  }

  /** Ends a session; it is opened again while the peer stays admitted. */
  drop(peer: PeerId, code: ErrorCode): void {
    this.#sessions.get(peer)?.end(new TalkootError(code, 'the session was ended'))
  }

  #openOwn(): void {
    const { mesh, worker, ownAd, onError } = this.#components
    if (this.#sessions.has(mesh.peerId)) return
    const [mine, theirs] = memoryChannels(mesh.peerId)
    worker.serve(theirs, { id: mesh.peerId, role: 'self' }).catch(onError)
    this.#hold(mesh.peerId, mine, 'self', ownAd())
  }

  #open(peer: AdmittedPeer): void {
    const idle = !this.#wanted || this.#sessions.has(peer.id) || this.#opening.has(peer.id)
    if (idle || peer.ad.cpus === 0) return
    this.#opening.add(peer.id)
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(LIMITS.REQUEST_TIMEOUT_MS)])
    this.#components.mesh
      .open(peer.id, WORK_PROTOCOL, signal)
      .then((channel) => {
        this.#opening.delete(peer.id)
        if (this.#wanted) this.#hold(peer.id, channel, peer.role, peer.ad)
        else channel.abort('E_UNREACHABLE', 'no work is left')
      })
      .catch((error) => {
        this.#opening.delete(peer.id)
        this.#components.onError(error)
        this.#retryLater(peer.id)
      })
  }

  #hold(peer: PeerId, channel: Channel, role: Role | 'self', ad: Ad): void {
    const { onEvent, onReceipt, onError, signedManifest } = this.#components
    const session = new WorkerSession(
      {
        channel,
        signedManifest,
        onEvent: (event) => {
          this.#retries.delete(peer)
          onEvent(event)
        },
        onReceipt: (job, receipt) => onReceipt(peer, job, receipt),
        onError,
      },
      { peer },
    )
    this.#sessions.set(peer, session)
    onEvent({ type: 'peer.up', peer, trust: trustOf(role), ad, role })
    session.serve().then((error) => {
      this.#sessions.delete(peer)
      onEvent({ type: 'peer.down', peer, code: error.code })
      this.#retryLater(peer)
    }, onError)
  }

  #retryLater(peer: PeerId): void {
    if (!this.#wanted || this.#stopping.signal.aborted) return
    const retry = this.#retries.get(peer) ?? { failures: 0, timer: null }
    if (retry.timer !== null) clearTimeout(retry.timer)
    const longest = Math.min(LIMITS.SESSION_RETRY_MAX_MS, LIMITS.SESSION_RETRY_MIN_MS * 2 ** retry.failures)
    retry.failures += 1
    retry.timer = setTimeout(() => this.#retry(peer), longest * (0.5 + 0.5 * this.#components.random()))
    this.#retries.set(peer, retry)
  }

  #retry(peer: PeerId): void {
    if (peer === this.#components.mesh.peerId) {
      this.#openOwn()
      return
    }
    const admitted = this.#components.mesh.peers().find(({ id }) => id === peer)
    if (admitted === undefined) this.#retries.delete(peer)
    else this.#open(admitted)
  }
}

function trustOf(role: Role | 'self'): TrustClass {
  return role === 'self' || role === 'stranger' ? role : 'member'
}
