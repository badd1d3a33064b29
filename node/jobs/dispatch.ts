/** Sessions with workers: one to every admitted peer, and to this machine's own worker, while there is work to give. */

import type { Ad } from '../../protocol/ad.ts'
import { backoffMs } from '../../protocol/backoff.ts'
import { type ErrorCode, TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { JobId } from '../../protocol/manifest.ts'
import type { Role } from '../../protocol/membership/roles.ts'
import { WORK_PROTOCOL } from '../../protocol/work.ts'
import { memoryChannels } from '../mesh/memory-channel.ts'
import type { AdmittedPeer, Channel, Mesh } from '../mesh/mesh.ts'
import type { PeerRuleStore } from '../store/peer-rules.ts'
import type { Worker } from '../worker/worker.ts'
import type { Checkpoints } from './checkpoints.ts'
import { independenceOf } from './independence.ts'
import { trustIn } from './known-peers.ts'
import type { LiveJob } from './live-job.ts'
import type { PeerId, SchedulerEvent, TrustClass } from './scheduler/events.ts'
import type { Scheduler } from './scheduler/scheduler.ts'
import type { UnitFilesOfJobs } from './unit-files.ts'
import { type Beside, WorkerSession } from './worker-session.ts'

type Components = {
  mesh: Mesh
  worker: Worker
  rules: PeerRuleStore
  /** What this node offers, as others see it. */
  ownAd(): Ad
  live: ReadonlyMap<JobId, LiveJob>
  scheduler: Pick<Scheduler, 'isAwaited'>
  unitFiles: Pick<UnitFilesOfJobs, 'fetch'>
  checkpoints: Checkpoints
  /** `beside` comes with results. */
  onEvent(event: SchedulerEvent, beside?: Beside): void
  random(): number
  onError(error: unknown): void
}

type Held = { id: PeerId; role: Role | 'self'; ad: Ad; address: string }

/** How often sessions with a peer broke without a result; the timer runs while the next try is waited for. */
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
    this.#components.rules.watch(() => this.#rulesChanged(), this.#stopping.signal)
    this.#components.mesh.watch((event) => {
      if (event.type === 'peer.left') this.drop(event.id, event.code)
      else if (this.#isBlocked(event.peer)) this.#lose(event.peer.id, 'E_BLOCKED')
      else if (event.type === 'peer.ad' && this.#sessions.has(event.peer.id)) {
        this.#components.onEvent({ type: 'peer.ad', peer: event.peer.id, ad: event.peer.ad })
      } else this.#open(event.peer)
    }, this.#stopping.signal)
  }

  stop(): void {
    this.want(false)
    this.#stopping.abort()
  }

  /** Whether there is work to give: sessions are opened, or ended. */
  want(wanted: boolean): void {
    if (this.#wanted === wanted || this.#stopping.signal.aborted) return
    this.#wanted = wanted
    this.#components.mesh.wantWork(wanted)
    if (wanted) {
      this.#openOwn()
      for (const peer of this.#components.mesh.peers()) this.#open(peer)
      return
    }
    for (const { timer } of this.#retries.values()) if (timer !== null) clearTimeout(timer)
    this.#retries.clear()
    for (const [peer, session] of [...this.#sessions]) {
      this.#sessions.delete(peer)
      session.leave()
      this.#components.onEvent({ type: 'peer.down', peer, code: 'E_UNREACHABLE' })
    }
  }

  /** This machine's own worker is told of by no mesh. */
  ownAdChanged(): void {
    const { mesh, ownAd, onEvent } = this.#components
    if (this.#sessions.has(mesh.peerId)) onEvent({ type: 'peer.ad', peer: mesh.peerId, ad: ownAd() })
  }

  run(peer: PeerId, job: JobId, units: [number, string][]): void {
    this.#sessions.get(peer)?.run(job, units)
  }

  revoke(peer: PeerId, job: JobId, units: number[] | null): void {
    this.#sessions.get(peer)?.revoke(job, units)
  }

  /** The job has ended: workers that were told of it need not keep it. */
  forget(job: JobId): void {
    for (const session of this.#sessions.values()) session.forget(job)
    this.#components.checkpoints.forget(job)
  }

  /** Ends a session; it is opened again while the peer stays admitted. */
  drop(peer: PeerId, code: ErrorCode): void {
    if (!this.#sessions.has(peer)) return
    this.#lose(peer, code)
    this.#retryLater(peer)
  }

  /** Sessions with blocked peers end; with those that are trusted otherwise than before they begin anew. */
  #rulesChanged(): void {
    for (const peer of this.#components.mesh.peers()) {
      const session = this.#sessions.get(peer.id)
      if (this.#isBlocked(peer)) this.#lose(peer.id, 'E_BLOCKED')
      else if (session !== undefined && session.trust !== this.#trustOf(peer)) this.#lose(peer.id, 'E_UNREACHABLE')
      this.#open(peer)
    }
    // What they said before they left counts no more either.
    for (const { kind, who, verdict } of this.#components.rules.list()) {
      if (kind !== 'peer' || verdict !== 'blocked') continue
      this.#components.onEvent({ type: 'peer.down', peer: who, code: 'E_BLOCKED' })
    }
  }

  /** From here on nothing is given to the session, whatever its channel still does. */
  #lose(peer: PeerId, code: ErrorCode): void {
    const session = this.#sessions.get(peer)
    if (session === undefined) return
    this.#sessions.delete(peer)
    session.end(new TalkootError(code, 'the session was ended'))
    this.#components.onEvent({ type: 'peer.down', peer, code })
  }

  #openOwn(): void {
    const { mesh, worker, ownAd, onError } = this.#components
    if (!this.#wanted || this.#sessions.has(mesh.peerId)) return
    const [mine, theirs] = memoryChannels(mesh.peerId)
    worker.serve(theirs, { id: mesh.peerId, role: 'self' }).catch(onError)
    this.#hold({ id: mesh.peerId, role: 'self', ad: ownAd(), address: '' }, mine, 'self')
  }

  #open(peer: AdmittedPeer): void {
    const { id, ad } = peer
    const waits = (this.#retries.get(id)?.timer ?? null) !== null
    const idle = !this.#wanted || waits || this.#sessions.has(id) || this.#opening.has(id)
    if (idle || ad.cpus === 0 || this.#isBlocked(peer)) return
    this.#opening.add(id)
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(LIMITS.REQUEST_TIMEOUT_MS)])
    this.#components.mesh
      .open(id, WORK_PROTOCOL, signal)
      .finally(() => this.#opening.delete(id))
      .then((channel) => {
        // What was true of the peer when it was asked may have changed.
        const peer = this.#admitted(id)
        if (!this.#wanted || peer === undefined) channel.abort('E_UNREACHABLE', 'no work is left')
        else if (this.#isBlocked(peer)) channel.abort('E_BLOCKED', 'this machine gives it no work')
        else this.#hold(peer, channel, this.#trustOf(peer))
      })
      .catch((error) => {
        this.#components.onError(error)
        this.#retryLater(id)
      })
  }

  #hold({ id: peer, role, ad, address }: Held, channel: Channel, trust: TrustClass): void {
    const { live, scheduler, unitFiles, checkpoints, onEvent, onError } = this.#components
    const session = new WorkerSession(
      {
        channel,
        jobOf: (job) => live.get(job),
        fetchFiles: (id, from, end) => {
          const job = live.get(id)
          const isAwaited = (): boolean => scheduler.isAwaited(id, end.unit, from)
          if (job === undefined || !isAwaited()) return null
          return unitFiles.fetch(from, { job: id, task: job.manifest.task, isAwaited }, end)
        },
        checkpoints,
        onEvent: (event, beside) => {
          if (event.type === 'results') this.#retries.delete(peer)
          onEvent(event, beside)
        },
        onError,
      },
      { peer, trust },
    )
    this.#sessions.set(peer, session)
    onEvent({ type: 'peer.up', peer, trust, ad, role, independence: independenceOf({ ad, address }) })
    session.serve().then((error) => {
      if (this.#sessions.get(peer) !== session) return
      this.#lose(peer, error.code)
      this.#retryLater(peer)
    }, onError)
  }

  /** A peer that breaks sessions without ever giving a result is asked less and less often. */
  #retryLater(peer: PeerId): void {
    if (!this.#wanted) return
    const retry = this.#retries.get(peer) ?? { failures: 0, timer: null }
    this.#retries.set(peer, retry)
    if (retry.timer !== null) clearTimeout(retry.timer)
    const { random } = this.#components
    const bounds = { firstMs: LIMITS.SESSION_RETRY_MIN_MS, longestMs: LIMITS.SESSION_RETRY_MAX_MS }
    retry.timer = setTimeout(
      () => {
        retry.timer = null
        this.#retry(peer)
      },
      backoffMs(retry.failures++, { ...bounds, random }),
    )
  }

  #retry(peer: PeerId): void {
    if (peer === this.#components.mesh.peerId) {
      this.#openOwn()
      return
    }
    const admitted = this.#admitted(peer)
    if (admitted === undefined) this.#retries.delete(peer)
    else this.#open(admitted)
  }

  #isBlocked({ id, ad }: AdmittedPeer): boolean {
    return this.#components.rules.of(id, ad)?.verdict === 'blocked'
  }

  #trustOf({ id, ad, role }: AdmittedPeer): TrustClass {
    return trustIn(role, this.#components.rules.of(id, ad))
  }

  #admitted(peer: PeerId): AdmittedPeer | undefined {
    return this.#components.mesh.peers().find(({ id }) => id === peer)
  }
}
