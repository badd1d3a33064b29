/**
 * What must hold, checked against a model of its own: the submitter's account of who has what, and what was said. No unit
 * is decided while it is decided: a decision must be opened again first, and only a job with a confidence does that.
 */

import type { SchedulerEffect, SchedulerEvent } from '../../node/jobs/scheduler/events.ts'
import type { Scheduler } from '../../node/jobs/scheduler/scheduler.ts'
import { UnitSet } from '../../node/jobs/unit-set.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Books } from './books.ts'
import { wrongReason } from './reasons.ts'
import { SavedStates } from './saving.ts'
import type { Scenario } from './scenario.ts'
import { JOB, truth } from './worker.ts'
import type { World } from './world.ts'

/** A peer is looked at this long after its lease, at the latest. */
const LEASE_SLACK_MS = 500

export class Violation extends Error {
  override readonly name = 'Violation'
}

type PeerModel = { holds: Set<number>; heardAt: number; open: boolean }

export class Checker {
  readonly #world: World
  readonly #scenario: Scenario
  readonly #books: Books
  readonly #crediting: boolean
  readonly #rooms: ReadonlyMap<string, string>
  readonly #peers = new Map<string, PeerModel>()
  /** By undecided unit, what each peer truly said of it, in this life of the submitter: `peer digest`. */
  readonly #said = new Map<number, Set<string>>()
  readonly #saved: SavedStates
  readonly decided: UnitSet
  failed = 0
  /** Since when the job is held; null: it is not. */
  heldSince: number | null = null
  runs = 0
  /** Units that were given with a state. */
  handedOn = 0
  mostUndecided = 0
  /** Every unit is decided, and will not be looked at again. */
  settled = false
  /** Units of which a wrong outcome stands, where a confidence allows for some; how many were ever withdrawn. */
  readonly wrong = new Set<number>()
  withdrawn = 0

  constructor(world: World, scenario: Scenario, books: Books) {
    this.#books = books
    this.#crediting = scenario.policy.verify.kind === 'confidence'
    this.#world = world
    this.#scenario = scenario
    this.decided = new UnitSet(scenario.units)
    this.#saved = new SavedStates(scenario.policy)
    this.#rooms = new Map(scenario.peers.map(({ id, room }) => [id, room]))
  }

  /** The submitter starts anew: it has no sessions. */
  restarted(): void {
    this.#peers.clear()
    this.#saved.restarted()
    if (!this.#crediting) this.#said.clear()
    // What was looked at again, and stood, stands.
    for (const unit of this.#books.decisions.keys()) this.#redecide(unit)
  }

  event(event: SchedulerEvent): void {
    if (!('peer' in event)) return
    const peer = this.#peer(event.peer)
    if (event.type !== 'peer.down') peer.heardAt = this.#world.now
    if (event.type === 'peer.up' || event.type === 'peer.down') {
      peer.open = event.type === 'peer.up'
      peer.holds.clear()
    } else if (event.type === 'job.refused') peer.holds.clear()
    else if (event.type === 'handback') for (const unit of event.units) peer.holds.delete(unit)
    if (event.type !== 'results') return
    for (const end of event.attempts) {
      peer.holds.delete(end.unit)
      this.#saved.ended(end.unit, event.peer)
      if (!end.ok || this.decided.has(end.unit)) continue
      const said = this.#said.get(end.unit)
      const word = `${event.peer} ${end.digest}`
      if (said === undefined) this.#said.set(end.unit, new Set([word]))
      else said.add(word)
    }
  }

  /** A peer tells of a state, in a session that stands. */
  saved(unit: number, peer: string, state: Uint8Array): void {
    if (this.#peer(peer).holds.has(unit)) this.#saved.saved(unit, peer, state)
  }

  /** A unit is given to a peer with a state, or without one. */
  resumed(unit: number, peer: string, state: Uint8Array | undefined): void {
    const fault = this.#saved.faultOf(unit, peer, state)
    if (fault !== null) this.fail(`unit ${unit} goes on at ${peer} from ${fault}`)
    if (state !== undefined) this.handedOn += 1
  }

  effect(effect: SchedulerEffect): void {
    if (effect.type === 'run') this.#run(effect)
    else if (effect.type === 'revoke') {
      const { holds } = this.#peer(effect.peer)
      if (effect.units === null) holds.clear()
      else for (const unit of effect.units) holds.delete(unit)
    } else if (effect.type === 'drop') {
      const peer = this.#peer(effect.peer)
      const silent = this.#world.now - peer.heardAt
      if (silent < LIMITS.LEASE_MS) this.fail(`${effect.peer} dropped after ${silent} ms of silence`)
      peer.open = false
      peer.holds.clear()
    } else if (effect.type === 'accepted') this.#accepted(effect)
    else if (effect.type === 'failed') this.#failed(effect)
    else if (effect.type === 'reopened') this.#reopened(effect)
    else if (effect.type === 'settled') this.#settle()
  }

  /** After a step, now and then: the account agrees, nothing has grown, nobody silent holds units. */
  account(scheduler: Scheduler): void {
    for (const seat of scheduler.seats(JOB)) {
      const { holds } = this.#peer(seat.peer)
      if (holds.size !== seat.inFlight) {
        this.fail(`${seat.peer} holds ${holds.size} units, the scheduler counts ${seat.inFlight}`)
      }
    }
    for (const [id, peer] of this.#peers) {
      const silent = this.#world.now - peer.heardAt
      if (peer.open && silent > LIMITS.LEASE_MS + LEASE_SLACK_MS) this.fail(`${id} silent ${silent} ms, not dropped`)
    }
    const { undecidedUnits, timers } = scheduler.load()
    this.mostUndecided = Math.max(this.mostUndecided, undecidedUnits)
    const timersMax = 20 * this.#scenario.peers.length + 100
    if (timers > timersMax) this.fail(`${timers} timers`)
    const progress = scheduler.progress(JOB)
    if (progress === null) return
    const waiting = progress.waiting.reduce((sum, { units }) => sum + units, 0)
    const sum = progress.accepted + progress.failed + progress.running + waiting
    if (sum !== progress.size) this.fail(`progress counts ${sum} of ${progress.size} units`)
    if (progress.accepted + progress.failed !== this.decided.size) this.fail('progress miscounts what is settled')
    const open = [...this.#peers].filter(([, peer]) => peer.open).map(([id, { holds }]) => ({ id, holds }))
    const wrong = wrongReason(scheduler, this.#scenario, { open, decided: this.decided, held: this.heldSince !== null })
    if (wrong !== null) this.fail(wrong)
  }

  fail(message: string): never {
    throw new Violation(`at ${this.#world.now.toFixed(1)} ms: ${message}`)
  }

  #run({ peer: id, units, canary }: Extract<SchedulerEffect, { type: 'run' }>): void {
    const peer = this.#peer(id)
    if (canary === true) {
      if (!this.#books.isCaught(id)) this.fail(`a canary for ${id}, which was never caught`)
      return
    }
    if (!peer.open) this.fail(`units for ${id}, which has no session`)
    if (this.heldSince !== null) this.fail(`units for ${id} of a job that is held`)
    if (units.length > LIMITS.FRAME_UNITS_MAX) this.fail(`a frame of ${units.length} units`)
    if (this.#scenario.policy.require !== '' && this.#rooms.get(id) !== 'a') this.fail(`${id} does not satisfy require`)
    for (const unit of units) {
      if (!(unit >= 0 && unit < this.#scenario.units)) this.fail(`unit ${unit} does not exist`)
      if (this.decided.has(unit)) this.fail(`unit ${unit} given to ${id} although it is decided`)
      if (peer.holds.has(unit)) this.fail(`unit ${unit} given to ${id} twice`)
      peer.holds.add(unit)
    }
    if (peer.holds.size > LIMITS.PEER_WINDOW_UNITS_MAX) this.fail(`${id} holds ${peer.holds.size} units`)
    this.runs += units.length
  }

  #accepted({ unit, value, voices, attempts }: Extract<SchedulerEffect, { type: 'accepted' }>): void {
    this.#decide(unit, attempts)
    const said = this.#said.get(unit)
    if (!this.#crediting) this.#said.delete(unit)
    const wrong = Math.abs(Number(value) - truth(unit)) > 1e-6
    if (this.#crediting && wrong) this.wrong.add(unit)
    else if (this.#scenario.program.failsOn(unit)) this.fail(`unit ${unit} accepted, its program fails`)
    else if (wrong) this.fail(`unit ${unit} accepted with a wrong value`)
    const { verify } = this.#scenario.policy
    const needed = verify.kind === 'quorum' ? verify.agree : verify.kind === 'none' ? 1 : 0
    const honest = new Set<string>()
    for (const { peer, digest } of voices) {
      if (digest === null) continue
      if (!said?.has(`${peer} ${digest}`)) this.fail(`${peer} never said ${digest} of unit ${unit}`)
      if (Math.abs(Number(digest.slice(1)) - truth(unit)) <= 1e-6) honest.add(peer)
    }
    if (honest.size < needed) this.fail(`unit ${unit} accepted on the word of ${honest.size} peers, not ${needed}`)
  }

  #failed({ unit, code, voices, attempts }: Extract<SchedulerEffect, { type: 'failed' }>): void {
    this.#decide(unit, attempts)
    if (!this.#crediting) this.#said.delete(unit)
    this.failed += 1
    if (!this.#scenario.program.failsOn(unit) || code !== 'E_TASK_THREW') {
      this.fail(`unit ${unit} failed with ${code}: ${JSON.stringify(voices)}`)
    }
  }

  #decide(unit: number, attempts: number): void {
    if (this.decided.has(unit)) this.fail(`unit ${unit} decided twice`)
    this.decided.add(unit)
    this.wrong.delete(unit)
    const { verify, retries } = this.#scenario.policy
    const voices = { none: 2, confidence: LIMITS.UNIT_VOICES_MAX, quorum: verify.kind === 'quorum' ? verify.of : 0 }
    const most = voices[verify.kind] + retries + LIMITS.SPARE_COPIES_MAX
    if (attempts > most) this.fail(`unit ${unit} took ${attempts} attempts, ${most} at most`)
  }

  #reopened({ unit, withdrawn }: Extract<SchedulerEffect, { type: 'reopened' }>): void {
    if (!this.#crediting) this.fail(`unit ${unit} opened again`)
    const before = this.#books.decisions.get(unit)
    if (before === undefined) this.fail(`unit ${unit} opened again, which was not decided`)
    if (withdrawn) this.withdrawn += 1
    if (!this.decided.has(unit)) return
    this.decided.delete(unit)
    if (!before.ok) this.failed -= 1
  }

  #redecide(unit: number): void {
    if (this.decided.has(unit)) return
    this.decided.add(unit)
    if (this.#books.decisions.get(unit)?.ok === false) this.failed += 1
  }

  #settle(): void {
    if (this.decided.size < this.#scenario.units) this.fail('settled before every unit is decided')
    this.settled = true
  }

  #peer(id: string): PeerModel {
    const known = this.#peers.get(id)
    if (known !== undefined) return known
    const peer = { holds: new Set<number>(), heardAt: this.#world.now, open: false }
    this.#peers.set(id, peer)
    return peer
  }
}
