/**
 * What units in flight have saved of themselves, for their next attempts. Hints, in memory while the node runs: any may be lost at any time,
 * and its unit begins anew. Where results are checked, an attempt goes on from what its own peer has saved and from nothing
 * else, or a result would rest on two peers and be counted as the word of one.
 */

import { LIMITS } from '../../protocol/limits.ts'
import type { JobId, Policy } from '../../protocol/manifest.ts'
import type { KeptCheckpoint } from '../store/checkpoint-file.ts'
import type { PeerId } from './scheduler/events.ts'
import type { Scheduler } from './scheduler/scheduler.ts'

type Components = {
  /** Of a job that runs; undefined for any other. */
  policyOf(job: JobId): Policy | undefined
  scheduler: Pick<Scheduler, 'isHeld'>
  /** Milliseconds, monotonic. */
  now(): number
}

type Checkpoint = { unit: number; peer: PeerId; state: Uint8Array; at: number }

/** Those of one job, longest unchanged first. */
type Kept = { bytes: number; checkpoints: Map<string, Checkpoint> }

/** What one takes beside its bytes. */
const ENTRY_BYTES = 1_024

export class Checkpoints {
  readonly #components: Components
  readonly #jobs = new Map<JobId, Kept>()
  #bytes = 0

  constructor(components: Components) {
    this.#components = components
  }

  /** What a peer says a unit has saved there; nothing of units it was not given. */
  keep(job: JobId, unit: number, peer: PeerId, state: Uint8Array): void {
    const { policyOf, scheduler, now } = this.#components
    const policy = policyOf(job)
    if (policy === undefined || !scheduler.isHeld(job, unit, peer)) return
    this.#set(job, keyOf(policy, unit, peer), { unit, peer, state, at: now() })
  }

  /** All of them, for the next start of this node. */
  *all(): Generator<KeptCheckpoint> {
    const now = this.#components.now()
    for (const [job, { checkpoints }] of this.#jobs) {
      for (const [key, { at, ...checkpoint }] of checkpoints) yield { job, key, ...checkpoint, ageMs: now - at }
    }
  }

  /** Before any unit is given out. */
  restore(all: Iterable<KeptCheckpoint>): void {
    const now = this.#components.now()
    for (const { job, key, ageMs, ...checkpoint } of all) this.#set(job, key, { ...checkpoint, at: now - ageMs })
  }

  /** What the unit goes on from on this peer. */
  of(job: JobId, unit: number, peer: PeerId): Uint8Array | undefined {
    const kept = this.#jobs.get(job)
    const policy = kept && this.#components.policyOf(job)
    return policy && kept.checkpoints.get(keyOf(policy, unit, peer))?.state
  }

  /** The last that is kept of a unit; null: none. */
  lastOf(job: JobId, unit: number): { peer: PeerId; bytes: number; savedMs: number } | null {
    let last: Checkpoint | null = null
    for (const checkpoint of this.#jobs.get(job)?.checkpoints.values() ?? [])
      if (checkpoint.unit === unit) last = checkpoint
    return last && { peer: last.peer, bytes: last.state.length, savedMs: this.#components.now() - last.at }
  }

  /** Attempts there have ended, well or not: where one failed the next begins anew, for the state may be what it failed by. */
  ended(job: JobId, attempts: readonly { unit: number }[], peer: PeerId): void {
    const kept = this.#jobs.get(job)
    const policy = this.#components.policyOf(job)
    if (kept === undefined || policy === undefined) return
    for (const { unit } of attempts) this.#delete(kept, keyOf(policy, unit, peer))
  }

  forget(job: JobId): void {
    this.#bytes -= this.#jobs.get(job)?.bytes ?? 0
    this.#jobs.delete(job)
  }

  #set(job: JobId, key: string, checkpoint: Checkpoint): void {
    const kept = this.#jobs.get(job) ?? { bytes: 0, checkpoints: new Map() }
    this.#jobs.set(job, kept)
    this.#delete(kept, key)
    // Its own memory: what came may be a part of something larger.
    kept.checkpoints.set(key, { ...checkpoint, state: new Uint8Array(checkpoint.state) })
    this.#add(kept, checkpoint.state.length + ENTRY_BYTES)
    this.#trim(kept)
  }

  #trim(kept: Kept): void {
    while (kept.bytes > LIMITS.JOB_CHECKPOINTS_MAX_BYTES) this.#dropOldest(kept)
    while (this.#bytes > LIMITS.CHECKPOINTS_MAX_BYTES) this.#dropOldest(this.#largest(kept))
  }

  #largest(than: Kept): Kept {
    let largest = than
    for (const kept of this.#jobs.values()) if (kept.bytes > largest.bytes) largest = kept
    return largest
  }

  #dropOldest(kept: Kept): void {
    for (const oldest of kept.checkpoints.keys()) {
      this.#delete(kept, oldest)
      break
    }
  }

  #delete(kept: Kept, key: string): void {
    const checkpoint = kept.checkpoints.get(key)
    if (checkpoint === undefined) return
    kept.checkpoints.delete(key)
    this.#add(kept, -(checkpoint.state.length + ENTRY_BYTES))
  }

  #add(kept: Kept, bytes: number): void {
    kept.bytes += bytes
    this.#bytes += bytes
  }
}

const keyOf = ({ verify }: Policy, unit: number, peer: PeerId): string =>
  verify.kind === 'none' ? String(unit) : `${unit} ${peer}`
