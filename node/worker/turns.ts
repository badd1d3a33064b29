/**
 * Whose unit a free slot runs next: a pure decision, from the jobs with units waiting and the slot time used so far.
 *
 * - Submitters share slot time by weight, and the jobs of one submitter by priority (each step doubles the share): two
 *   levels of `VirtualTime`. A unit that takes several cores, or more than their part of the memory, is charged for what
 *   is more (the dominant resource of A. Ghodsi et al., "Dominant Resource Fairness", NSDI 2011).
 * - A job that never had a slot is first among its submitter's, and its submitter may run ahead of its share by
 *   SHARE_BORROW_MS for it (K. J. Duda, D. R. Cheriton, "Borrowed-Virtual-Time scheduling", SOSP 1999): charged like
 *   all time, so that many small jobs gain nothing in the long run. First slots of a submitter together are ahead of its
 *   other slots by no more than that either, so that ever new jobs do not keep old ones waiting.
 * - A slot changes jobs only when that is due by a quantum, a short one if the other's process is warm.
 * - A job whose turn it is and whose cores or memory are not free for ROOM_GRACE_MS has them kept: nothing of its
 *   submitter begins that would delay it further, and nothing of others once its submitter is next.
 */

import { LIMITS } from '../../protocol/limits.ts'
import { VirtualTime } from './virtual-time.ts'

/** A job with units waiting. One object for one job as long as it is here. */
export type Claim = {
  readonly submitter: string
  /** Of the submitter, against other submitters. */
  readonly weight: number
  /** Against other jobs of the submitter: a step doubles the share. */
  readonly priority: number
  readonly cpus: number
  readonly memoryMiB: number
}

/** What a slot has at the end of a batch: the job it ran, and since when it has run it. */
type Stay<C> = { claim: C; since: number }

type Init<C> = {
  slots: number
  memoryMiB: number
  /** Whether the slot would find a process for the job that runs already. */
  isWarm(claim: C): boolean
}

/** A turn of a job on a slot; the first of a job counts as such. */
export type Turn<C> = { readonly claim: C; readonly kind: Kind }

type Kind = 'first' | 'further'

/** What the jobs of one submitter had, and what all their first turns had beside all further ones. */
type Account<C> = { jobs: VirtualTime<C>; kinds: VirtualTime<Kind> }

/** A step of priority among new jobs counts as much as so long a wait: no stream of others passes one by for ever. */
const STEP_MS = 10_000

export class Turns<C extends Claim> {
  readonly #init: Init<C>
  readonly #submitters = new VirtualTime<string>()
  readonly #accounts = new Map<string, Account<C>>()
  readonly #begun = new WeakSet<C>()
  readonly #cameAt = new WeakMap<C, number>()
  #cpusTaken = 0
  #memoryTakenMiB = 0
  /** Of each submitter, the job that should be next and has not the room. */
  readonly #short = new Map<string, { claim: C; since: number }>()

  constructor(init: Init<C>) {
    this.#init = init
  }

  /** Null: nobody waits, or what is free is kept for a job that needs more. Call `begin` with the answer. */
  next(waiting: readonly C[], now: number, stay: Stay<C> | null): C | null {
    const lines = this.#demand(waiting, now)
    const lead = this.#noteShort(waiting, lines, now)
    const kept = lead === null ? null : this.#keptFor(lead.submitter, now)
    const mayBegin = (claim: C) => {
      const own = this.#keptFor(claim.submitter, now)
      return [kept, own].every((other) => this.#isFree(claim, ...(other === null || other === claim ? [] : [other])))
    }
    let best: C | null = null
    let bestOwn: C | null = null
    for (const claim of waiting) {
      if (!mayBegin(claim)) continue
      if (best === null || lines.isBefore(claim, best)) best = claim
      if (claim.submitter !== stay?.claim.submitter) continue
      if (bestOwn === null || lines.isBefore(claim, bestOwn)) bestOwn = claim
    }
    if (stay === null || best === null || !waiting.includes(stay.claim) || !mayBegin(stay.claim)) return best
    if (this.#leaves(stay, best, lines, now)) return best
    return bestOwn !== null && this.#leaves(stay, bestOwn, lines, now) ? bestOwn : stay.claim
  }

  /** Whether a slot that runs a long batch of the job should leave it for one of these. */
  isOverdue(stay: Stay<C>, waiting: readonly C[], now: number): boolean {
    const lines = this.#demand(waiting, now)
    return waiting.some((claim) => lines.isBefore(claim, stay.claim) && this.#leaves(stay, claim, lines, now))
  }

  /** Whether the job never had a slot. */
  isNew(claim: C): boolean {
    return !this.#begun.has(claim)
  }

  /** The turn begins, of the job `next` named; it goes on until `end`. */
  begin(claim: C, now: number): Turn<C> {
    const { submitter, cpus, memoryMiB } = claim
    const turn: Turn<C> = { claim, kind: this.#begun.has(claim) ? 'further' : 'first' }
    if (this.#short.get(submitter)?.claim === claim) this.#short.delete(submitter)
    this.#begun.add(claim)
    this.#cpusTaken += cpus
    this.#memoryTakenMiB += memoryMiB
    const { jobs, kinds } = this.#accountOf(submitter)
    this.#submitters.begin(submitter, this.#costOf(claim), now)
    jobs.begin(claim, this.#costOf(claim), now)
    kinds.begin(turn.kind, this.#costOf(claim), now)
    return turn
  }

  end({ claim, kind }: Turn<C>, now: number): void {
    const { submitter, cpus, memoryMiB } = claim
    this.#cpusTaken -= cpus
    this.#memoryTakenMiB -= memoryMiB
    const { jobs, kinds } = this.#accountOf(submitter)
    this.#submitters.end(submitter, this.#costOf(claim), now)
    jobs.end(claim, this.#costOf(claim), now)
    kinds.end(kind, this.#costOf(claim), now)
  }

  /** Remembers who has not the room. Returns who would be next if all of the machine were free. */
  #noteShort(waiting: readonly C[], lines: Lines<C>, now: number): C | null {
    const firsts = new Map<string, C>()
    const present = new Set(waiting)
    for (const [submitter, { claim }] of this.#short) if (!present.has(claim)) this.#short.delete(submitter)
    for (const claim of waiting) {
      const first = firsts.get(claim.submitter)
      const possible = claim.memoryMiB <= this.#init.memoryMiB && claim.cpus <= this.#init.slots
      if (possible && (first === undefined || lines.isBefore(claim, first))) firsts.set(claim.submitter, claim)
    }
    let lead: C | null = null
    for (const [submitter, first] of firsts) {
      if (lead === null || lines.isBefore(first, lead)) lead = first
      if (this.#isFree(first) || this.#short.has(submitter)) continue
      this.#short.set(submitter, { claim: first, since: now })
    }
    return lead
  }

  /** Nothing of the submitter begins that would delay this job further, and nothing of others when it is its turn. */
  #keptFor(submitter: string, now: number): C | null {
    const short = this.#short.get(submitter)
    return short !== undefined && now - short.since >= LIMITS.ROOM_GRACE_MS ? short.claim : null
  }

  /** Whether there is room for all of them beside what runs. */
  #isFree(...claims: C[]): boolean {
    let [cpus, memoryMiB] = [this.#cpusTaken, this.#memoryTakenMiB]
    for (const claim of claims) {
      cpus += claim.cpus
      memoryMiB += claim.memoryMiB
    }
    return cpus <= this.#init.slots && memoryMiB <= this.#init.memoryMiB
  }

  /** In slots: the larger of its cores and its part of the memory. */
  #costOf({ cpus, memoryMiB }: C): number {
    return Math.max(cpus, (memoryMiB * this.#init.slots) / this.#init.memoryMiB)
  }

  #accountOf(submitter: string): Account<C> {
    const account = this.#accounts.get(submitter) ?? { jobs: new VirtualTime<C>(), kinds: new VirtualTime<Kind>() }
    this.#accounts.set(submitter, account)
    return account
  }

  #demand(waiting: readonly C[], now: number): Lines<C> {
    const weights = new Map<string, number>()
    const jobs = new Map<string, Map<C, number>>()
    const kinds = new Map<string, Map<Kind, number>>()
    for (const claim of waiting) {
      const { submitter, weight, priority } = claim
      if (!this.#cameAt.has(claim)) this.#cameAt.set(claim, now)
      weights.set(submitter, weight)
      jobs.set(submitter, (jobs.get(submitter) ?? new Map<C, number>()).set(claim, 2 ** priority))
      const kind: Kind = this.#begun.has(claim) ? 'further' : 'first'
      kinds.set(submitter, (kinds.get(submitter) ?? new Map<Kind, number>()).set(kind, 1))
    }
    this.#submitters.demand(weights, now)
    for (const [submitter, own] of jobs) this.#accountOf(submitter).jobs.demand(own, now)
    for (const [submitter, own] of kinds) this.#accountOf(submitter).kinds.demand(own, now)
    this.#forget(jobs)
    const fresh = new Set([...kinds].flatMap(([submitter, own]) => (own.has('first') ? [submitter] : [])))
    const { cameAt, begun, submitters } = { cameAt: this.#cameAt, begun: this.#begun, submitters: this.#submitters }
    return new Lines({ submitters, accountOf: (id) => this.#accountOf(id), begun, cameAt, fresh }, now)
  }

  /** What the jobs of a submitter had is remembered while it is here, or was lately. */
  #forget(jobs: ReadonlyMap<string, unknown>): void {
    for (const submitter of this.#accounts.keys()) {
      if (this.#accounts.size <= 2 * LIMITS.SESSIONS_PER_WORKER_MAX) return
      if (!jobs.has(submitter) && this.#submitters.rateOf(submitter) === 0) this.#accounts.delete(submitter)
    }
  }

  #leaves({ claim, since }: Stay<C>, other: C, lines: Lines<C>, now: number): boolean {
    if (other === claim) return false
    const stayed = now - since
    if (lines.isFresh(other)) return stayed >= LIMITS.SLOT_STAY_MS && lines.isBefore(other, claim)
    const quantum = this.#init.isWarm(other) ? LIMITS.SLOT_QUANTUM_WARM_MS : LIMITS.SLOT_QUANTUM_MS
    return lines.leadOf(claim, other) >= quantum
  }
}

type Standing<C extends Claim> = {
  submitters: VirtualTime<string>
  accountOf(submitter: string): Account<C>
  begun: WeakSet<C>
  cameAt: WeakMap<C, number>
  /** Submitters with a job that never had a slot. */
  fresh: ReadonlySet<string>
}

/** Who comes before whom at one moment: a total order. */
class Lines<C extends Claim> {
  readonly #standing: Standing<C>
  readonly #now: number
  readonly #keys = new Map<string, number>()

  constructor(standing: Standing<C>, now: number) {
    this.#standing = standing
    this.#now = now
  }

  isFresh(claim: C): boolean {
    return !this.#standing.begun.has(claim)
  }

  isBefore(a: C, b: C): boolean {
    if (a.submitter !== b.submitter) {
      const ahead = this.#keyOf(a) - this.#keyOf(b)
      return ahead === 0 ? a.submitter < b.submitter : ahead < 0
    }
    const [freshA, freshB] = [this.isFresh(a), this.isFresh(b)]
    if (freshA !== freshB) return freshA === this.#newFirst(a.submitter)
    if (freshA) return this.#patienceOf(a) > this.#patienceOf(b)
    return this.#jobKeyOf(a) < this.#jobKeyOf(b)
  }

  /** Slot time the first has had beyond the other, by its own weight, milliseconds. */
  leadOf(a: C, b: C): number {
    if (a.submitter !== b.submitter) return (this.#keyOf(a) - this.#keyOf(b)) * a.weight
    return (this.#jobKeyOf(a) - this.#jobKeyOf(b)) * 2 ** a.priority
  }

  #keyOf({ submitter, weight }: C): number {
    const known = this.#keys.get(submitter)
    if (known !== undefined) return known
    const { submitters, fresh } = this.#standing
    const borrowed = fresh.has(submitter) ? LIMITS.SHARE_BORROW_MS / weight : 0
    const key = expected(submitters, submitter, weight, this.#now) - borrowed
    this.#keys.set(submitter, key)
    return key
  }

  /** Whether first turns are not too far ahead of further ones. */
  #newFirst(submitter: string): boolean {
    const { kinds } = this.#standing.accountOf(submitter)
    return kinds.tagOf('first', this.#now) - kinds.tagOf('further', this.#now) <= LIMITS.SHARE_BORROW_MS
  }

  /** Among new jobs: by priority, and by how long they have waited. */
  #patienceOf(claim: C): number {
    return claim.priority * STEP_MS + this.#now - (this.#standing.cameAt.get(claim) ?? this.#now)
  }

  #jobKeyOf(claim: C): number {
    return expected(this.#standing.accountOf(claim.submitter).jobs, claim, 2 ** claim.priority, this.#now)
  }
}

/** Slots taken a moment ago count as if their batch had run: slots that come free together do not all go to one. */
function expected<Key>(times: VirtualTime<Key>, key: Key, weight: number, now: number): number {
  return times.tagOf(key, now) + (times.rateOf(key) * LIMITS.SANDBOX_BATCH_MS) / weight
}
