/**
 * What a scheduler does around the decision code: hands out units and copies, hears, judges, credits, looks at what was
 * accepted again when a peer is caught. The judge, the credit and the choices are the real ones.
 */

import { CreditBook } from '../../node/jobs/verification/book.ts'
import { closingCheck, closingChecks } from '../../node/jobs/verification/checked-units.ts'
import { createConfidence } from '../../node/jobs/verification/confidence.ts'
import { type Assumptions, undecidedMax } from '../../node/jobs/verification/credit.ts'
import type { JudgedVoice, Verdict, Verification } from '../../node/jobs/verification/verification.ts'
import { type Peer, RIGHT } from './adversaries.ts'
import type { Chance } from './chance.ts'
import { Copies, type Unit, type Word } from './copies.ts'
import type { Outcome, Rule } from './mesh.ts'
import { NONE, type Seat, Seats, voterOf } from './seats.ts'

export type ConfidenceInit = {
  peers: readonly Peer[]
  units: number
  goal: number
  assumed: Assumptions
  chance: Chance
  /** Checks each peer has survived before the job. */
  warm?: number
  /** Replaces the real verification: for bugs put in on purpose. */
  verification?: Verification
  /** Sees the voices on a unit, each time there is one more; true: the job stops. */
  watch?: (unit: number, voices: readonly JudgedVoice[]) => boolean
}

/** So that peers that all wait for one another go on. */
const PATIENCE_TURNS = 16

export class ConfidenceRule implements Rule {
  readonly #init: ConfidenceInit
  readonly #book: CreditBook
  readonly #verification: Verification
  readonly #seats: Seats
  readonly #open = new Map<number, Unit>()
  readonly #copies: Copies
  readonly #reopened: Unit[] = []
  /** Open units that wait on one word. */
  readonly #withheld = new Set<Unit>()
  /** What is withheld is checked for the last time, and then withheld no more. */
  #closing = false
  #final = false
  readonly #words: (Word[] | undefined)[] = []
  readonly #values: Int32Array
  #cursor = 0
  #failed = 0
  #closed = false
  #stopped = false

  constructor(init: ConfidenceInit) {
    this.#init = init
    this.#copies = new Copies(init.chance)
    const { goal, assumed, peers, units, chance, warm = 0 } = init
    const secret = chance.below(2 ** 31)
    const isChecked = (unit: number) => keyed(secret, unit) < assumed.checkShare
    this.#verification = init.verification ?? createConfidence({ goal, agree: { kind: 'exact' }, assumed, isChecked })
    this.#book = new CreditBook({ assumed, load: () => ({ checks: warm, caught: 0, at: 0 }) })
    this.#values = new Int32Array(units).fill(-1)
    this.#seats = new Seats({ book: this.#book, verification: this.#verification }, peers)
  }

  get seats(): readonly Seat[] {
    return this.#seats.all
  }

  next(peer: number): number {
    const seat = this.#seats.of(peer)
    if (!seat.works) return -1
    if (seat.rest > 0) {
      seat.rest -= 1
      return -1
    }
    if (seat.open.size >= undecidedMax(seat.credit) && ++seat.waited < PATIENCE_TURNS) return -1
    seat.waited = 0
    // Who is believed alone does what is new; who is not does copies, and gains by them.
    const others = this.#seats.workers - this.#seats.soloists
    const copiesFirst = !seat.solo || this.#copies.wanted > others
    const tries = [
      () => (copiesFirst ? this.#copies.draw(peer) : -1),
      () => this.#fresh(seat, peer),
      () => this.#copies.draw(peer),
      () => this.#copies.drawLater(peer),
    ]
    for (const attempt of tries) {
      const unit = attempt()
      if (unit >= 0) return unit
    }
    return -1
  }

  hear(peer: number, index: number, value: number): void {
    const unit = this.#open.get(index)
    const seat = this.#seats.of(peer)
    if (unit === undefined || !unit.holders.includes(peer)) return
    drop(unit.holders, peer)
    if (seat.works) {
      seat.turns += 1
      unit.words.push({ peer, value, confirmed: false, turn: seat.turns })
      seat.open.add(unit)
    }
    this.#judge(unit)
  }

  lost(peer: number, index: number): void {
    const unit = this.#open.get(index)
    if (unit === undefined) return
    drop(unit.holders, peer)
    unit.refused.push(peer)
    unit.missing += 1
    this.#copies.place(unit)
    const seat = this.#seats.of(peer)
    seat.faults += 1
    seat.rest = 2 ** Math.min(seat.faults, 8)
  }

  finished(): boolean {
    if (this.#stopped) return true
    if (this.#cursor < this.#init.units || this.#reopened.length > 0) return false
    if (this.#withheld.size > 0 && this.#withheld.size === this.#open.size) {
      if (!this.#closing && this.#checkWithheld()) return false
      this.#final = true
      for (const unit of [...this.#withheld]) this.#judge(unit)
    }
    if (this.#open.size > 0) return false
    if (this.#closed) return true
    this.#closed = true
    this.#closingChecks()
    return this.#open.size === 0
  }

  outcome(): Outcome {
    let [accepted, wrong] = [0, 0]
    for (const value of this.#values) {
      if (value >= 0) accepted += 1
      if (value > RIGHT) wrong += 1
    }
    const lost = this.seats.filter(({ works }) => !works)
    const honestLost = lost.filter(({ peer }) => peer.honest).length
    return { accepted, wrong, failed: this.#failed, honestLost, caught: lost.length - honestLost }
  }

  /** Before what is withheld is accepted some of it is checked. True: something is. */
  #checkWithheld(): boolean {
    const { assumed, chance } = this.#init
    this.#closing = true
    const marked: Unit[] = []
    for (const seat of this.seats) {
      const waiting = [...seat.open].filter((unit) => this.#withheld.has(unit))
      if (waiting.length === 0) continue
      const turns = waiting.map(({ words }) => turnOf(seat, words))
      const confirmed = seat.vouchers.after(Math.min(...turns))
      const unchecked = turns.filter((turn) => seat.vouchers.after(turn) === 0).length
      const words = { units: [...waiting.keys()], confirmed, unchecked }
      const checks = closingChecks(words, seat.turns, assumed.checkShare, () => chance.next())
      marked.push(...checks.flatMap((at) => waiting[at] ?? []))
    }
    for (const unit of marked) unit.check = true
    for (const unit of marked) this.#judge(unit)
    return marked.length > 0
  }

  #closingChecks(): void {
    const { assumed, chance } = this.#init
    for (const { works, unchecked } of this.seats) {
      const index = works
        ? closingCheck(
            unchecked.map(({ unit }) => unit),
            assumed.checkShare,
            () => chance.next(),
          )
        : null
      if (index !== null) this.#judge(this.#reopen(index, true))
    }
  }

  #fresh(seat: Seat, peer: number): number {
    const unit = this.#reopened.pop() ?? this.#begin()
    if (unit === undefined) return -1
    if (unit.words.length > 0) {
      this.#copies.place(unit)
      return this.#copies.draw(peer)
    }
    const { opening, copies } = this.#verification
    unit.missing = (opening?.(unit.index, voterOf(seat), this.#seats.typical()) ?? copies) - 1
    unit.holders.push(peer)
    this.#copies.place(unit)
    return unit.index
  }

  #begin(): Unit | undefined {
    if (this.#cursor >= this.#init.units) return undefined
    const index = this.#cursor++
    const unit: Unit = { index, words: [], holders: [], refused: [], missing: 1, later: false, check: false }
    this.#open.set(index, unit)
    return unit
  }

  #judge(unit: Unit): void {
    const { index, words, check } = unit
    const voices = words.map((word) => this.#seats.voice(word))
    if (this.#init.watch?.(index, voices)) this.#stopped = true
    const verdict = this.#verification.judge(voices, NONE, this.#seats.workers, {
      unit: index,
      check,
      final: this.#final,
      next: this.#seats.typical(),
    })
    if (verdict.kind === 'needs' || verdict.kind === 'accepted') this.#confirm(unit, verdict.checked ?? [])
    if (verdict.kind === 'accepted') this.#accept(unit, verdict)
    else if (verdict.kind === 'impossible') {
      this.#failed += 1
      this.#close(unit)
    } else if (verdict.kind === 'needs') {
      unit.later = verdict.later === true
      this.#withheld.delete(unit)
      unit.missing = Math.max(0, verdict.copies - unit.holders.length)
      this.#copies.place(unit)
    } else if (verdict.kind === 'withheld') {
      this.#withheld.add(unit)
    }
  }

  #accept(unit: Unit, { digest, agreed, against }: Extract<Verdict, { kind: 'accepted' }>): void {
    const value = Number(digest)
    const { index, words } = unit
    const before = this.#values[index] ?? -1
    this.#values[index] = value
    this.#words[index] = words
    this.#close(unit)
    for (const { peer } of words) {
      const seat = this.#seats.of(peer)
      seat.decided.push(index)
      const turn = turnOf(seat, words)
      if (agreed.length === 1 && !this.#closing && seat.vouchers.after(turn) === 0)
        seat.unchecked.push({ unit: index, turn })
      if (!agreed.includes(seat.name)) continue
      if (seat.works) seat.accepted += 1
      if (value !== RIGHT) seat.lies += 1
    }
    if (before >= 0 && before !== value) {
      for (const name of this.#book.overturn(`${index}`, 0)) this.#seats.refresh(this.#seats.of(Number(name)))
    }
    for (const name of against) this.#catch(index, this.#seats.of(Number(name)))
  }

  #close(unit: Unit): void {
    this.#open.delete(unit.index)
    unit.missing = 0
    this.#withheld.delete(unit)
    for (const { peer } of unit.words) this.#seats.of(peer).open.delete(unit)
  }

  #confirm(unit: Unit, names: readonly string[]): void {
    const fresh: string[] = []
    for (const word of unit.words) {
      const seat = this.#seats.of(word.peer)
      if (word.confirmed || !names.includes(seat.name)) continue
      word.confirmed = true
      fresh.push(seat.name)
      seat.vouchers.note(word.turn)
      seat.unchecked = seat.unchecked.filter(({ turn }) => turn > word.turn)
    }
    this.#book.confirm(fresh, 0)
    for (const name of fresh) {
      const seat = this.#seats.of(Number(name))
      this.#seats.refresh(seat)
      for (const waiting of seat.open) {
        const vouched = this.#withheld.has(waiting) && seat.vouchers.vouchFor(turnOf(seat, waiting.words))
        if ((waiting.later || vouched) && waiting !== unit) this.#judge(waiting)
      }
    }
  }

  /** Its history is void: what hangs on its word is looked at again. */
  #catch(index: number, seat: Seat): void {
    this.#book.catch(`${index}`, seat.name, 0)
    this.#seats.refresh(seat)
    seat.unchecked = []
    for (const unit of [...seat.open]) if (this.#open.get(unit.index) === unit) this.#judge(unit)
    const decided = seat.decided
    seat.decided = []
    for (const at of decided) {
      if (this.#open.has(at) || !this.#falls(at)) continue
      this.#judge(this.#reopen(at, false))
    }
  }

  /** What was accepted would not be today. */
  #falls(index: number): boolean {
    const words = this.#words[index] ?? []
    const voices = words.map((word) => this.#seats.voice(word))
    const verdict = this.#verification.judge(voices, NONE, this.#seats.workers, { unit: index, final: true })
    return verdict.kind !== 'accepted' || Number(verdict.digest) !== this.#values[index]
  }

  #reopen(index: number, check: boolean): Unit {
    const words = this.#words[index] ?? []
    const unit: Unit = { index, words, holders: [], refused: [], missing: 0, later: false, check }
    this.#open.set(index, unit)
    for (const { peer } of words) this.#seats.of(peer).open.add(unit)
    return unit
  }
}

/** Which of its words that was. */
function turnOf({ name }: Seat, words: readonly Word[]): number {
  const id = Number(name)
  return words.find(({ peer }) => peer === id)?.turn ?? 0
}

function drop(items: number[], item: number): void {
  const at = items.indexOf(item)
  if (at >= 0) items.splice(at, 1)
}

/** From 0 to 1, the same for one unit at every call. */
function keyed(secret: number, unit: number): number {
  let h = Math.imul(unit ^ secret, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 16), 0x27d4eb2f)
  return ((h ^ (h >>> 15)) >>> 0) / 2 ** 32
}
