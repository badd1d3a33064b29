/** The peers of a simulated job as its submitter sees them: what each has shown, and whether it works and is believed alone. */

import type { CreditBook } from '../../node/jobs/verification/book.ts'
import { Vouchers } from '../../node/jobs/verification/checked-units.ts'
import { admission } from '../../node/jobs/verification/credit.ts'
import type { JudgedVoice, Verification, Voter } from '../../node/jobs/verification/verification.ts'
import { type Peer, RIGHT } from './adversaries.ts'
import type { Unit, Word } from './copies.ts'

export type Seat = {
  peer: Peer
  name: string
  credit: { checks: number; caught: number }
  /** Its right word on any unit. */
  voice: JudgedVoice
  /** It may be given work. */
  works: boolean
  /** Its word alone reaches the goal. */
  solo: boolean
  vouchers: Vouchers
  /** Open units it spoke on. */
  open: Set<Unit>
  /** Units accepted with its word. */
  decided: number[]
  /** Of those, the ones accepted on its word alone since it was last checked, and which of its words that was. */
  unchecked: { unit: number; turn: number }[]
  /** Units accepted with its word, also those opened again since, and of them the wrong ones, before it was caught. */
  accepted: number
  lies: number
  /** Results it gave before it was caught. */
  turns: number
  /** Times it did not answer, and turns it is left out for that. */
  faults: number
  rest: number
  /** Turns it was left out because too much of what it said is undecided. */
  waited: number
}

/** No two values were compared by the task's own function. */
export const NONE: ReadonlyMap<string, boolean> = new Map()
const SAID = Array.from({ length: 101 }, (_, value) => said(value))

export class Seats {
  readonly all: readonly Seat[]
  readonly #book: CreditBook
  readonly #verification: Verification
  /** Those at work, of them those believed alone, and the checks they have survived together. */
  #workers = 0
  #soloists = 0
  #checksSum = 0

  constructor(components: { book: CreditBook; verification: Verification }, peers: readonly Peer[]) {
    this.#book = components.book
    this.#verification = components.verification
    this.all = peers.map(newSeat)
    for (const seat of this.all) this.refresh(seat)
  }

  get workers(): number {
    return this.#workers
  }

  get soloists(): number {
    return this.#soloists
  }

  of(peer: number): Seat {
    const seat = this.all[peer]
    if (seat === undefined) throw new RangeError(`no peer ${peer}`)
    return seat
  }

  /** After what it has shown may have changed. */
  refresh(seat: Seat): void {
    if (seat.works) {
      this.#workers -= 1
      this.#soloists -= seat.solo ? 1 : 0
      this.#checksSum -= seat.credit.checks
    }
    const evidence = this.#book.credit(seat.name, 0)
    seat.credit = { checks: evidence.checks, caught: evidence.caught }
    const { trust = 'stranger', operator = seat.name } = seat.peer
    seat.voice = {
      peer: seat.name,
      trust,
      independence: [operator],
      credit: seat.credit,
      said: SAID[RIGHT] ?? said(RIGHT),
    }
    seat.works = admission(evidence, 0) === 'work'
    seat.solo = this.#verification.judge([seat.voice], NONE, 0).kind === 'accepted'
    if (!seat.works) return
    this.#workers += 1
    this.#soloists += seat.solo ? 1 : 0
    this.#checksSum += seat.credit.checks
  }

  /** A peer like those at work. */
  typical(): Voter {
    return {
      trust: 'stranger',
      credit: { checks: Math.floor(this.#checksSum / Math.max(1, this.#workers)), caught: 0 },
    }
  }

  voice({ peer, value, confirmed, turn }: Word): JudgedVoice {
    const seat = this.of(peer)
    const vouched = seat.vouchers.vouchFor(turn)
    if (value === RIGHT && !confirmed && !vouched) return seat.voice
    const { checks, caught } = seat.credit
    const credit = confirmed ? { checks: Math.max(0, checks - 1), caught } : seat.credit
    return { ...seat.voice, credit, vouched, said: SAID[value] ?? said(value) }
  }
}

export const voterOf = (seat: Seat): Voter => ({ trust: seat.peer.trust ?? 'stranger', credit: seat.credit })

function newSeat(peer: Peer, number: number): Seat {
  const name = `${number}`
  return {
    peer,
    name,
    credit: { checks: 0, caught: 0 },
    voice: { peer: name, trust: 'stranger', independence: [name], said: said(RIGHT) },
    works: false,
    solo: false,
    vouchers: new Vouchers(),
    open: new Set(),
    decided: [],
    unchecked: [],
    accepted: 0,
    lies: 0,
    turns: 0,
    faults: 0,
    rest: 0,
    waited: 0,
  }
}

function said(value: number): JudgedVoice['said'] {
  return { ok: true, digest: `${value}`, value: `${value}` }
}
