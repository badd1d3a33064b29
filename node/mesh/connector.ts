/**
 * Keeps the node connected: dials those it remembers, those discovery suggests, and again those it lost, with backoff.
 *
 * libp2p's own reconnection forgets a peer after a few failures; a lab that was switched off for a weekend must come back.
 */

import { backoffMs } from '../../protocol/backoff.ts'
import type { ErrorCode } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { addressOfPeer } from './addresses.ts'
import type { MeshHost } from './host.ts'
import type { PeerTable } from './peers.ts'
import { Pulse } from './pulse.ts'
import type { Refusals } from './refusals.ts'
import type { MeshStore } from './store.ts'

export const TICK_MS = 200
export const DIALS_AT_ONCE = 8
/** Hints come in lists: one look for all of them. */
const SOON_MS = 20
const BACKOFF_FIRST_MS = 500
/** A peer only heard of is dropped after this many failures; one that was ever admitted never is. */
const RUMOUR_FAILURES_MAX = 6

/** Refusals that another try will meet again. */
const LASTING: ReadonlySet<ErrorCode> = new Set([
  'E_NOT_MEMBER',
  'E_MESH_MISMATCH',
  'E_CERT_INVALID',
  'E_CERT_EXPIRED',
  'E_CERT_REVOKED',
  'E_FLOOD',
])
/** Enough to wait the longest between tries. */
const FAILURES_OF_THE_UNWELCOME = 10

type Candidate = { addresses: string[]; failures: number; dueAt: number; admitted: boolean; needed?: boolean }

export class Connector {
  readonly #host: MeshHost
  readonly #store: MeshStore
  readonly #peers: PeerTable
  readonly #refusals: Refusals
  readonly #onUnanswered: (peer: string) => void
  readonly #candidates = new Map<string, Candidate>()
  readonly #dialling = new Set<string>()
  readonly #pulse: Pulse
  readonly #stopped = new AbortController()
  #target: number = LIMITS.PEERS_KEPT

  constructor(components: {
    host: MeshHost
    store: MeshStore
    peers: PeerTable
    refusals: Refusals
    /** A dial met nobody, or nobody who lets this node in. */
    onUnanswered(peer: string): void
  }) {
    this.#host = components.host
    this.#store = components.store
    this.#peers = components.peers
    this.#refusals = components.refusals
    this.#onUnanswered = components.onUnanswered
    this.#pulse = new Pulse(TICK_MS, () => this.#tick())
  }

  start(): void {
    for (const { id, addresses } of this.#store.peers()) this.#add(id, addresses, true)
    this.#pulse.start()
    this.#pulse.hurry(SOON_MS)
  }

  stop(): void {
    this.#stopped.abort()
    this.#pulse.stop()
  }

  /** Peers it dials until so many are connected; others it hears of are kept for when one is lost, or more are wanted. */
  get target(): number {
    return this.#target
  }

  set target(count: number) {
    if (count > this.#target) this.#pulse.hurry(SOON_MS)
    this.#target = count
  }

  isDialling(id: string): boolean {
    return this.#dialling.has(id)
  }

  /** Peers to be dialled of whom nothing speaks against their answering. */
  get promising(): number {
    let count = 0
    for (const [id, { failures }] of this.#candidates) {
      if (failures === 0 && this.#peers.get(id) === undefined) count += 1
    }
    return count
  }

  /**
   * A hint from anywhere; believed only as far as dialling it.
   * @param addresses multiaddrs
   * @param needed dialled even when enough peers are connected: it has work to give
   * @param afterMs not dialled sooner
   * @returns whether it is news
   */
  suggest(
    id: string,
    addresses: readonly { toString(): string }[],
    { needed = false, afterMs = 0 }: { needed?: boolean; afterMs?: number } = {},
  ): boolean {
    const isNews = this.#peers.get(id) === undefined && !this.#candidates.has(id)
    this.#add(id, addresses.slice(0, LIMITS.TOKEN_ADDRESSES_MAX).map(String), false, performance.now() + afterMs)
    const candidate = this.#candidates.get(id)
    if (needed && candidate !== undefined) candidate.needed = true
    if (isNews && afterMs === 0) this.#pulse.hurry(SOON_MS)
    return isNews
  }

  admitted(id: string, addresses: string[]): void {
    this.#candidates.set(id, { addresses, failures: 0, dueAt: Number.POSITIVE_INFINITY, admitted: true })
    if (addresses.length > 0) this.#store.rememberPeer({ id, addresses })
  }

  /** Tried again soon when it was merely lost, late when it was cut off on purpose, never when it was revoked. */
  lost(id: string, code: ErrorCode): void {
    const candidate = this.#candidates.get(id)
    if (candidate === undefined) return
    if (code === 'E_CERT_REVOKED') this.#forget(id)
    if (code !== 'E_UNREACHABLE') candidate.failures = FAILURES_OF_THE_UNWELCOME
    candidate.dueAt = performance.now() + restMs(candidate.failures)
  }

  #forget(id: string): void {
    this.#candidates.delete(id)
    this.#store.forgetPeer(id)
  }

  #add(id: string, addresses: string[], admitted: boolean, dueAt = 0): void {
    if (id === this.#host.peerId.toString() || addresses.length === 0 || this.#peers.get(id) !== undefined) return
    const known = this.#candidates.get(id)
    if (known !== undefined) {
      known.addresses = [...new Set([...addresses, ...known.addresses])].slice(0, LIMITS.TOKEN_ADDRESSES_MAX)
      return
    }
    if (this.#candidates.size >= LIMITS.PEERS_REMEMBERED_MAX) return
    this.#candidates.set(id, { addresses, failures: 0, dueAt, admitted })
  }

  #tick(): void {
    const now = performance.now()
    for (const [id, candidate] of this.#candidates) {
      if (this.#dialling.size >= DIALS_AT_ONCE) return
      if (!candidate.needed && this.#peers.size + this.#dialling.size >= this.#target) continue
      if (candidate.dueAt > now || this.#dialling.has(id) || this.#peers.get(id) !== undefined) continue
      void this.#dial(id, candidate)
    }
  }

  async #dial(id: string, candidate: Candidate): Promise<void> {
    const startedAt = Date.now()
    this.#dialling.add(id)
    try {
      const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(LIMITS.DIAL_TIMEOUT_MS)])
      const targets = candidate.addresses.flatMap((address) => addressOfPeer(address, id) ?? [])
      await this.#host.dial(targets, { signal })
      candidate.failures = 0
      candidate.dueAt = performance.now() + BACKOFF_FIRST_MS
    } catch {
      this.#onUnanswered(id)
      const refusal = this.#refusals.latest(id)
      const lasting = refusal !== undefined && refusal.at >= startedAt && LASTING.has(refusal.code)
      candidate.failures = lasting ? FAILURES_OF_THE_UNWELCOME : candidate.failures + 1
      candidate.dueAt = performance.now() + restMs(candidate.failures)
      if (lasting && refusal.code === 'E_CERT_REVOKED') this.#forget(id)
      if (!candidate.admitted && candidate.failures >= RUMOUR_FAILURES_MAX) this.#candidates.delete(id)
    } finally {
      this.#dialling.delete(id)
      this.#pulse.hurry(0)
    }
  }
}

const restMs = (failures: number): number =>
  backoffMs(failures, { firstMs: BACKOFF_FIRST_MS, longestMs: LIMITS.PEER_BACKOFF_MAX_MS, random: Math.random })
