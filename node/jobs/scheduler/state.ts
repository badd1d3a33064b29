/** What the scheduler core holds in memory. Grows with peers and undecided units only, never with the sweep. */

import type { RandomGenerator } from 'pure-rand/types/RandomGenerator'
import type { Ad } from '../../../protocol/ad.ts'
import type { Policy } from '../../../protocol/manifest.ts'
import type { Reason } from '../../../protocol/reasons.ts'
import type { Blame } from '../../../protocol/work.ts'
import type { MatchedPolicy, Wanted } from '../matching/policy.ts'
import type { CreditBook } from '../verification/book.ts'
import type { Vouchers } from '../verification/checked-units.ts'
import type { Diagnosis } from '../verification/diagnosis.ts'
import type { Credit, JudgedVoice, Verification, Voter } from '../verification/verification.ts'
import type { Bag } from './bag.ts'
import type { Canary } from './canaries.ts'
import type { Gate, JobProgress, JobSpec, PeerId, SchedulerEffect, TrustClass, UnitIndex, Voice } from './events.ts'
import type { LeasePolicy } from './lease.ts'
import type { Lines } from './line.ts'
import type { Pace, SeatPace } from './pace.ts'
import type { Bucket, Pool } from './pool.ts'
import type { Shape } from './shape.ts'
import type { Timers } from './timers.ts'
import type { Window } from './window.ts'

export type SchedulerComponents = {
  /** The only source of chance: who is given what. The same generator and events give the same effects. */
  random: RandomGenerator
  /** Compiles `require`, `rank` and `alike`. @throws E_EXPRESSION */
  match: (policy: Policy & Wanted) => MatchedPolicy
  /** How the results of a job are verified. */
  verification: (policy: Policy, checkKey?: Uint8Array) => Verification
  /** What was written of a peer by `credit` effects, and how long ago; null: nothing. */
  credit: (peer: PeerId) => (Credit & { ageMs: number }) | null
  /** When a silent peer has lost its units. */
  lease: LeasePolicy
}

/** What a timer of the core is for. */
export type Due =
  | { kind: 'lease' }
  | { kind: 'rested'; seat: Seat }
  | { kind: 'stragglers'; job: Job }
  | { kind: 'retry'; job: Job; unit: Unit }
  | { kind: 'deadline'; job: Job }

export type Core = {
  readonly components: SchedulerComponents
  readonly jobs: Map<string, Job>
  readonly peers: Map<PeerId, Peer>
  readonly timers: Timers<Due>
  /** What peers have shown in jobs that ask for a confidence. */
  readonly book: CreditBook
  now: number
  /** Effects of this step, in the order they happened. */
  effects: SchedulerEffect[]
  /** Seats with evidence or revocations to say at the end of this step. */
  readonly touched: Set<Seat>
  /** Peers of which the book has something new. */
  readonly credited: Set<PeerId>
  /** Jobs with units to be judged again in this step. */
  readonly doubting: Set<Job>
  /** Jobs that gained work others could do in this step. */
  readonly stirred: Set<Job>
  /** Jobs that lost a usable peer in this step. */
  readonly shrunk: Set<Job>
  /** Jobs with units decided in this step. */
  readonly decided: Set<Job>
  /** Seats that may have room for more. */
  readonly refills: Set<Seat>
  /** Peers that may have a place for a job in line. */
  readonly freed: Set<Peer>
  /** Jobs whose end may have come into sight in this step. */
  readonly ending: Set<Job>
  /** Last figures of jobs that are settled or cancelled, oldest first; JOBS_ACTIVE_MAX of them. */
  readonly ended: Map<string, JobProgress>
  nextSlot: number
  /** Numbers, from those of slots, for what strangers share. */
  readonly shared: Map<string, number>
  leaseTimerSet: boolean
}

/** A peer, up or remembered. */
export type Peer = {
  id: PeerId
  /** A small number that stands for the peer in bucket keys; never given twice. */
  slot: number
  trust: TrustClass
  role: string
  independence: readonly string[]
  /** Its slot, and numbers that stand for what it shares with others: no two with one in common are heard on a unit. */
  shares: readonly number[]
  ad: Ad
  /** By its ad: runtimes, system and architecture, what results that depend on the machine depend on. */
  platform: string
  /** When the owner paused it, and when it is back by its own word; null: not paused, not known. */
  pausedAt: number | null
  returnsAt: number | null
  up: boolean
  /** By the submitter: its words on open units count for nothing. */
  blocked: boolean
  heardAt: number
  /** When it last ended a unit of any job here, or said that others have all its slots. */
  turnedAt: number
  /** Smoothed time of the way there and back, by what it says of the rest; 0: not known. */
  latencyMs: number
  /** Its seats in the jobs at hand. */
  seats: Seat[]
  readonly lines: Lines
  inFlight: number
}

/** One peer's place in one job. */
export type Seat = {
  readonly peer: Peer
  readonly job: Job
  /** Why it does not satisfy the job; null: it does. */
  misfit: Reason | null
  rank: number | null
  /** Of the policy's `alike`: copies of a unit go to peers of one class. */
  alike: string
  /** A refusal that stands until the peer's ad changes. */
  refusal: string | null
  /** No units before this time. */
  restUntil: number
  restedAt: number
  /** What the rest was for. */
  restCode: string | null
  /** While it rests to fetch the files of the job: bytes that are there. */
  fetched: { bytes: number; of: number } | null
  /** Rises by FAULT_WEIGHT with a fault and falls by one with a good result. */
  faults: number
  handbacks: number
  refusals: number
  /** Turns had, by priority; and since when it has this one. */
  tag: number
  turnAt: number
  inLine: boolean
  called: boolean
  /** Units in its hands, oldest first. */
  readonly inFlight: Map<UnitIndex, Unit>
  /** Units taken back from it that it may still be running. */
  readonly strays: Map<UnitIndex, { accepted: boolean }>
  window: Window
  pace: SeatPace
  /** Since when it is given nothing because others would be done sooner; null: it is not so. */
  passedAt: number | null
  /** Undecided units that name it. */
  named: number
  agreed: number
  outvoted: number
  /** Outvoted too often: its word counts no more in this job. */
  distrusted: boolean
  /** With a confidence to reach: it may be given units, by what it has shown. */
  admitted: boolean
  /** Open units it has spoken on, and those of them that wait for its credit. */
  readonly spokenOn: Set<Unit>
  readonly later: Set<Unit>
  /** Those that wait until later words of it are confirmed, in the order in which it spoke. */
  readonly withheld: Set<Unit>
  readonly vouchers: Vouchers
  /** A settled unit it was given to see what it says; null: none. */
  canary: Canary | null
  /** The newest units accepted on its word alone since it was last checked. */
  unchecked: { unit: UnitIndex; word: number }[]
  /** Words it gave, of any kind. */
  words: number
  /** Why it cannot be given units, however long it waits; `away`: its peer is not up; null: it can. */
  block: Reason | 'away' | null
  blockedAt: number
  usable: boolean
  lastEndAt: number
  agreedNow: number
  /** Work of it that was accepted and not told yet, milliseconds. */
  servedMs: number
  revokedNow: UnitIndex[]
}

export type Job = {
  readonly spec: JobSpec
  readonly policy: Policy
  readonly matched: MatchedPolicy
  readonly verification: Verification
  /** Its peers are believed by what they have shown; see credit.ts. */
  readonly crediting: boolean
  /** Some unit of it was given out. */
  begun: boolean
  /** The next unit never given out: those before it are open or settled. */
  cursor: number
  /** Units given out and undecided. */
  readonly open: Map<UnitIndex, Unit>
  /** Open units that need a further copy. */
  readonly pool: Pool
  /** Those that want one only while there is nothing else to do. */
  readonly later: Pool
  /** Open units that wait on one peer's word until later ones of it are confirmed; since when there are any. */
  readonly withheld: Set<Unit>
  withheldSince: number
  /** Tells a task that does not repeat from peers that lie; null: no two are asked. */
  diagnosis: Diagnosis | null
  /** Units on which somebody was caught, oldest first. */
  readonly catches: Set<UnitIndex>
  /** The newest units that two or more peers decided. */
  readonly canaries: Canary[]
  /** Open units to be judged again in this step. */
  readonly doubted: Set<Unit>
  /** Units opened again that were settled before a restart: the cursor passes them by. */
  readonly redone: Set<UnitIndex>
  /** A peer like those that could be asked, and how many usable ones are not believed alone, as last worked out. */
  next: Voter
  unproven: number
  surveyAt: number
  /** Undecided units each newcomer may have beyond what its credit allows. */
  grace: number
  /** Readings of the ledger that were asked for and have not ended. */
  recalls: number
  /** Units that are to be checked again when they are read from the ledger. */
  readonly checks: Set<UnitIndex>
  /** Peers with units in their hands; newcomers that are held back until others have spoken. */
  working: number
  readonly held: Set<Seat>
  /** What waited on one word was checked for the last time; then what was accepted on one. */
  closing: boolean
  closed: boolean
  readonly seats: Map<PeerId, Seat>
  /** Usable peers by their class. */
  readonly classes: Map<string, number>
  /** Seats that could take more than there was to give: with slots idle, and with slots busy but room to queue. */
  readonly idle: Bag<Seat>
  readonly hungry: Bag<Seat>
  /** Open units with failures: looked at again when peers go. */
  readonly scarred: Set<Unit>
  /** Seats that can be given units, now or after a rest. */
  usable: number
  accepted: number
  failed: number
  running: number
  executions: number
  wasted: number
  disagreements: number
  comparing: number
  comparingSince: number
  valueBytes: number
  /** What a unit takes on a slot of speed 1, by what peers say of their speed. */
  readonly reference: Pace
  readonly shape: Shape
  /** Units a millisecond of all usable seats together and the mean time of a unit on the fastest, as last worked out. */
  rate: number
  bestMs: number
  weighAt: number
  /** A seat was passed over because others would be done sooner. */
  passed: boolean
  lastEndAt: number
  /** When stragglers were looked for last. */
  checkedAt: number
  /** Some units were settled before a restart. */
  readonly restored: boolean
  watching: boolean
  deadlinePassed: boolean
  /** Why nothing of it is given out, and since when; null: it is. */
  gate: { reason: Gate['reason']; since: number } | null
  readonly addedAt: number
  /** When a peer last became usable or stopped being so, or the gate changed. */
  changedAt: number
}

/** How a peer stands to one open unit. */
export type Holding = 'running' | 'gone' | 'failed' | 'voiced'

export type Holder = {
  readonly seat: Seat
  holding: Holding
  since: number
  /** When it came to the head of the peer's queue; null: not yet, or not running. */
  begunAt: number | null
  said: JudgedVoice['said'] | null
  /** Which of its words that was: later ones are not vouched for by it. 0: it was given before a restart or long ago. */
  word: number
  /** Its word on this unit was a check it survived. */
  confirmed: boolean
  /** It had the unit at the same time as another, where the first was to speak before anybody follows. */
  together: boolean
  /** It failed the unit by a fault of the machine. */
  faulty: boolean
  /** Its last failure that is no voice. */
  fault: { code: string; message: string; blame: Blame } | null
}

export type Unit = {
  readonly index: UnitIndex
  /** Of those that have it; null: nobody has, or none is asked for. */
  alike: string | null
  holders: readonly Holder[]
  /** Copies running or wanted so that it can be decided. */
  needs: number
  /** Further copies are wanted only while there is nothing else to do. */
  later: boolean
  /** A second peer must speak. */
  check: boolean
  /** Its voices are not withheld any more. */
  final: boolean
  /** How it was decided before it was opened again: a digest or a failure code; null: it was not. */
  before: string | null
  /** That decision does not stand any more. */
  withdrawn: boolean
  /** Copies beyond those, for stragglers. */
  spare: number
  spared: number
  running: number
  /** Ends heard, of any kind. */
  ended: number
  failures: number
  /** Copies to give out, when it is in the pool. */
  missing: number
  /** Waits for a peer that has not failed it. */
  waits: boolean
  bucket: Bucket | null
  place: number
  /** Answers to compare effects, and the pairs asked for and not answered yet. */
  answers: Map<string, boolean> | null
  asked: Set<string> | null
}

/** Units of the job that the peer runs at once. */
export const slotsOf = ({ peer, job }: Seat): number => Math.floor(peer.ad.cpus / job.policy.cpus)

export const settledCount = (job: Job): number => job.accepted + job.failed

/** Units never given out and not settled. */
export const freshCount = (job: Job): number => job.spec.size - settledCount(job) - job.open.size

export const voicesOf = (unit: Unit): Voice[] =>
  unit.holders
    .filter((holder) => holder.said !== null)
    .map(({ seat, said }) =>
      said?.ok
        ? { peer: seat.peer.id, digest: said.digest, code: null }
        : { peer: seat.peer.id, digest: null, code: said?.code ?? null },
    )
