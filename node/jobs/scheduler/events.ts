/**
 * The vocabulary of the scheduler core: events in, effects out. Plain data; no clock, no randomness, no I/O.
 * Times are milliseconds on the submitter's own monotonic clock.
 */

import type { Ad } from '../../../protocol/ad.ts'
import type { ErrorCode } from '../../../protocol/errors.ts'
import type { JobId, Policy } from '../../../protocol/manifest.ts'
import type { Reason } from '../../../protocol/reasons.ts'
import type { RuntimeKind } from '../../../protocol/runtime-kinds.ts'
import type { Blame } from '../../../protocol/work.ts'
import type { Credit } from '../verification/verification.ts'

export type PeerId = string
export type UnitIndex = number

/** How far a peer is believed before it has shown anything. */
export type TrustClass = 'self' | 'member' | 'stranger'

export type JobSpec = {
  id: JobId
  /** Units in the sweep: indices 0 to size - 1. */
  size: number
  policy: Policy
  /** Of its task; `js` if not said. */
  runtime?: RuntimeKind
  /** True for indices decided before a restart. */
  isSettled(unit: UnitIndex): boolean
  settledCount: number
  /** How many of the settled ones failed; 0 if not given. */
  failedCount?: number
  /** Time since the job was submitted, milliseconds; 0 if not given. The deadline counts from submission. */
  ageMs?: number
  /** Who was caught in it before a restart, and what that took from them; none if not given. */
  catches?: readonly (Credit & { unit: UnitIndex; peer: PeerId; ageMs: number })[]
  /** Draws the units that are checked; told to nobody. Needed with a confidence to reach. */
  checkKey?: Uint8Array
  /** Why nothing of it is given out, if so. */
  gate?: Gate | null
}

/** Why a job waits as a whole, and for how long it has by now. */
export type Gate = {
  reason: 'held' | 'dependency' | 'dependency-failed' | 'not-repeatable' | 'platform-differs'
  forMs: number
}

/** The end of one attempt as the core sees it; `digest` names the canonical value. */
export type AttemptEnd =
  | { unit: UnitIndex; ok: true; value: string; digest: string }
  | { unit: UnitIndex; ok: false; code: string; message: string; blame: Blame }

export type SchedulerEvent =
  | { type: 'job.added'; job: JobSpec }
  | { type: 'job.cancelled'; job: JobId }
  /** From now on nothing of it is given out, and what runs is taken back; null: it goes on. */
  | { type: 'job.gate'; job: JobId; gate: Gate | null }
  /**
   * A session with the peer is open: it can be given work, `ad.cpus` units at once. A second one without `peer.down`
   * between them means the first session ended. `independence` names what a stranger shares with others that one person
   * may run: where a confidence is asked, of those with any in common only one is heard on a unit.
   */
  | { type: 'peer.up'; peer: PeerId; trust: TrustClass; ad: Ad; role?: string; independence?: readonly string[] }
  | { type: 'peer.ad'; peer: PeerId; ad: Ad }
  /** `waits`: it says that units of this node wait there and none runs, as others have its slots. */
  | { type: 'peer.alive'; peer: PeerId; waits?: boolean }
  | { type: 'peer.down'; peer: PeerId; code: ErrorCode }
  /** It fetches the job's files: so many bytes of all are there. It has no units until it is ready. */
  | { type: 'job.fetching'; peer: PeerId; job: JobId; bytes: number; of: number }
  | { type: 'job.ready'; peer: PeerId; job: JobId }
  | { type: 'job.refused'; peer: PeerId; job: JobId; code: string; retryAfterMs: number | null }
  /** `held`: one of the units and how long the peer says it had it; the rest of its turnaround is the way. */
  | { type: 'results'; peer: PeerId; job: JobId; attempts: AttemptEnd[]; held?: [unit: UnitIndex, ms: number] | null }
  | { type: 'handback'; peer: PeerId; job: JobId; units: UnitIndex[]; code: string }
  /** Answer to a `compare` effect. */
  | { type: 'compared'; job: JobId; unit: UnitIndex; a: string; b: string; same: boolean }
  /** Answer to a `recall` effect, in as many events as it takes; `last`: there are no more. */
  | { type: 'recalled'; job: JobId; units: Recalled[]; last: boolean }
  | { type: 'tick' }

/** A decision as the ledger has it. `said`: the digest of the value, or the code of the failure; `value` is '' then. */
export type Recalled = { unit: UnitIndex; ok: boolean; said: string; value: string; voices: Voice[] }

/** One voice heard on a unit: which peer, and which value (by digest) or failure (by code). */
export type Voice = { peer: PeerId; digest: string | null; code: string | null }

export type SchedulerEffect =
  /** `canary`: the unit is settled; it is given out to see what the peer says. */
  | { type: 'run'; peer: PeerId; job: JobId; units: UnitIndex[]; canary?: true }
  | { type: 'revoke'; peer: PeerId; job: JobId; units: UnitIndex[] | null }
  /**
   * `error`: the probability that the value is wrong, where that is known. `confirmed`: it was decided so before and
   * that stood all the time; there are more voices now.
   */
  | {
      type: 'accepted'
      job: JobId
      unit: UnitIndex
      value: string
      voices: Voice[]
      attempts: number
      error: number | null
      confirmed: boolean
    }
  | {
      type: 'failed'
      job: JobId
      unit: UnitIndex
      code: ErrorCode
      message: string
      blame: Blame
      voices: Voice[]
      attempts: number
      confirmed: boolean
    }
  /** A decided unit is looked at again. `withdrawn`: its decision does not stand; else it stands until it is. */
  | { type: 'reopened'; job: JobId; unit: UnitIndex; withdrawn: boolean }
  /**
   * Read from the ledger, and answer with `recalled`, what was decided with a word of this peer, or of any that was ever
   * caught; or these units.
   */
  | { type: 'recall'; job: JobId; of: { peer: PeerId } | { caught: true } | { units: UnitIndex[] } }
  /**
   * The job is stopped, gate and all: its task does not give the same result twice, or on machines of these two platforms
   * never the same. `values`: what two peers said of `unit`; null: at most one of them gave a value.
   */
  | {
      type: 'stopped'
      job: JobId
      finding: {
        reason: 'not-repeatable' | 'platform-differs'
        unit: UnitIndex
        values: [string, string] | null
        platforms: [string, string] | null
      }
    }
  /** What the peer's word is worth from now on, for the ledger. */
  | { type: 'credit'; peer: PeerId; checks: number; caught: number }
  /** What it was worth until it was caught on the unit, for the ledger: it is given back if the unit is decided otherwise. */
  | { type: 'caught'; job: JobId; unit: UnitIndex; peer: PeerId; checks: number; caught: number }
  /** Whoever was caught on the unit has it back. */
  | { type: 'cleared'; job: JobId; unit: UnitIndex }
  /** Ask whether two values (by digest) agree, for `agree: function`. */
  | {
      type: 'compare'
      job: JobId
      unit: UnitIndex
      a: { digest: string; value: string }
      b: { digest: string; value: string }
    }
  /**
   * First-hand evidence about a peer, for the ledger. `agreed`: `count` units of this step on which it was of the
   * accepted group, `unit` null. `outvoted`: another value was accepted for `unit`. `faulty`: it failed `unit`, which
   * others ran. `lapsed`: it went silent with `count` units of the job in its hands, `unit` null. `served`: `count`
   * milliseconds of slot time of accepted work, `unit` null.
   */
  | {
      type: 'evidence'
      peer: PeerId
      job: JobId
      unit: UnitIndex | null
      kind: 'agreed' | 'outvoted' | 'lapsed' | 'faulty' | 'served'
      count: number
    }
  /** The lease lapsed: close the session; a new one may be opened. */
  | { type: 'drop'; peer: PeerId; code: ErrorCode }
  | { type: 'settled'; job: JobId }

export type JobProgress = {
  size: number
  accepted: number
  failed: number
  /** Units with at least one attempt in flight. */
  running: number
  /** Attempts that came to an end, wherever their result went, or were cut off as not needed any more. */
  executions: number
  /** Those of them whose result was not needed: the unit was accepted without it. */
  wasted: number
  /** Units on which at least two peers did not agree. */
  disagreements: number
  /** What one unit takes on one slot of speed 1, milliseconds; null: none has ended. */
  unitMs: number | null
  /** Of the units that do not run: one reason each, and for how long it has been so. */
  waiting: { reason: Reason; units: number; sinceMs: number }[]
}
