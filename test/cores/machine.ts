/** Slots in simulated time over the real `Turns`: who ran what, and when. */

import { type Claim, type Turn, Turns } from '../../node/worker/turns.ts'
import { LIMITS } from '../../protocol/limits.ts'

export class Work implements Claim {
  readonly submitter: string
  readonly weight: number
  readonly priority: number
  readonly cpus: number
  readonly memoryMiB: number
  /** Length of the next unit, milliseconds. */
  readonly unitMs: () => number
  /** Units that wait. */
  units: number
  usedMs = 0
  running = 0
  firstAt: number | null = null
  lastAt = 0
  /** The longest it waited, with units, while nothing of it ran. */
  longestWaitMs = 0

  constructor(init: Partial<Omit<Claim, 'submitter'>> & { submitter: string; unitMs?: () => number; units?: number }) {
    this.submitter = init.submitter
    this.weight = init.weight ?? 1
    this.priority = init.priority ?? 0
    this.cpus = init.cpus ?? 1
    this.memoryMiB = init.memoryMiB ?? 64
    this.unitMs = init.unitMs ?? (() => 50)
    this.units = init.units ?? Number.POSITIVE_INFINITY
  }
}

type Slot = { work: Work; turn: Turn<Work>; began: number; ends: number; since: number }

export class Machine {
  readonly turns: Turns<Work>
  readonly works: Work[] = []
  readonly #slots: (Slot | null)[]
  readonly #switchMs: number
  now = 0
  /** Slot time in which a slot stood still while units that would have fitted waited. */
  idleMs = 0
  /** The most cores and memory that units had at once. */
  mostCpus = 0
  mostMiB = 0
  switches = 0

  constructor(init: { slots: number; memoryMiB?: number; switchMs?: number; warm?: boolean }) {
    const { slots, memoryMiB = 1_024, switchMs = 0, warm = false } = init
    this.turns = new Turns({ slots, memoryMiB, isWarm: () => warm })
    this.#slots = Array.from({ length: slots }, () => null)
    this.#switchMs = switchMs
  }

  add(...works: Work[]): this {
    for (const work of works) work.lastAt = this.now
    this.works.push(...works)
    return this
  }

  /** Runs until then; `each` looks on after every step. */
  runTo(end: number, each: () => void = () => undefined): void {
    while (this.now < end) {
      for (let i = 0; i < this.#slots.length; i++) this.#fill(i)
      const next = Math.min(end, ...this.#slots.map((slot) => slot?.ends ?? end))
      this.now = Math.max(next, this.now)
      each()
      if (next === end && !this.#slots.some((slot) => slot !== null && slot.ends <= end)) return
      for (let i = 0; i < this.#slots.length; i++) this.#end(i)
    }
  }

  usedBy(submitter: string): number {
    let used = 0
    for (const work of this.works) if (work.submitter === submitter) used += work.usedMs
    for (const slot of this.#slots) if (slot?.work.submitter === submitter) used += this.now - slot.began
    return used
  }

  #fill(i: number): void {
    if (this.#slots[i] === null) this.#begin(i, null)
  }

  #begin(i: number, left: Slot | null): void {
    const waiting = this.works.filter(({ units }) => units > 0)
    const stay = left === null ? null : { claim: left.work, since: left.since }
    const work = this.turns.next(waiting, this.now, stay)
    this.#slots[i] = null
    if (work === null) return
    const turn = this.turns.begin(work, this.now)
    const stays = work === left?.work
    if (!stays) this.switches += 1
    let ms = stays ? 0 : this.#switchMs
    for (let batched = 0; work.units > 0 && (batched === 0 || batched < LIMITS.SANDBOX_BATCH_MS); ) {
      const unitMs = work.unitMs()
      work.units -= 1
      batched += unitMs
      ms += unitMs
      if (work.firstAt === null) break
    }
    work.longestWaitMs = Math.max(work.longestWaitMs, work.running === 0 ? this.now - work.lastAt : 0)
    work.firstAt ??= this.now
    work.running += 1
    this.#slots[i] = { work, turn, began: this.now, ends: this.now + ms, since: stays ? (left?.since ?? 0) : this.now }
    const busy = this.#slots.filter((slot) => slot !== null)
    this.mostCpus = Math.max(
      this.mostCpus,
      sum(busy, (of) => of.cpus),
    )
    this.mostMiB = Math.max(
      this.mostMiB,
      sum(busy, (of) => of.memoryMiB),
    )
  }

  #end(i: number): void {
    const slot = this.#slots[i]
    if (slot === null || slot === undefined || slot.ends > this.now) return
    const { work, began } = slot
    work.usedMs += this.now - began
    work.running -= 1
    work.lastAt = this.now
    this.turns.end(slot.turn, this.now)
    this.#begin(i, slot)
  }
}

const sum = (slots: readonly Slot[], of: (work: Work) => number): number =>
  slots.reduce((total, { work }) => total + of(work), 0)
