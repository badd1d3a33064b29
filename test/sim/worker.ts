/** A simulated worker: runs units in order in its slots, and is struck by whatever strikes machines. */

import type { AttemptEnd, SchedulerEvent } from '../../node/jobs/scheduler/events.ts'
import type { Ad } from '../../protocol/ad.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { adOf } from './ads.ts'
import { Link } from './network.ts'
import { decodeState, encodeState, type State, TOO_LARGE } from './saving.ts'
import type { PeerTraits, Scenario } from './scenario.ts'
import type { World } from './world.ts'

export const JOB = 'job'

/** What the submitter's side of a session is told. */
export interface Listener {
  opened(worker: Worker, session: number): void
  heard(worker: Worker, session: number, event: SchedulerEvent): void
  saved(worker: Worker, session: number, unit: number, state: Uint8Array): void
  closed(worker: Worker, session: number): void
}

/** After a pause its end is told for so long. */
const AD_AGAIN_MS = 40_000

/** A unit saves its state so often at most, and now and then a crook one that is too large. */
const SAVES_MAX = 3
const TOO_LARGE_CHANCE = 0.2

type Doing = { unit: number; done: boolean; state: State }

export type Message = { run: number[]; resumed: ReadonlyMap<number, Uint8Array> } | { revoke: number[] | null }

export class Worker {
  readonly traits: PeerTraits
  readonly link: Link
  readonly #world: World
  readonly #scenario: Scenario
  readonly #listener: Listener
  #queue: number[] = []
  /** Of units that wait, what they go on from. */
  #resumed = new Map<number, Uint8Array>()
  #doing: Doing[] = []
  #outbox: AttemptEnd[] = []
  #asleep: (() => void)[] | null = null
  #pausedUntil = Number.NEGATIVE_INFINITY
  #refusals = 0
  #told = 0
  /** Rises when the machine is restarted: what it did before is forgotten. */
  #life = 0
  up = true
  session = 0
  connected = false
  #connecting = false

  constructor(world: World, scenario: Scenario, traits: PeerTraits, listener: Listener) {
    this.traits = traits
    this.#world = world
    this.#scenario = scenario
    this.#listener = listener
    this.link = new Link(world, { latencyMs: traits.latencyMs, duplicates: scenario.duplicates })
    this.#refusals = traits.refuses === 'always' ? Number.POSITIVE_INFINITY : traits.refuses === 'busy' ? 3 : 0
  }

  start(): void {
    this.#connect()
    this.#beat()
    if (this.traits.goneAt < Number.POSITIVE_INFINITY) this.#world.after(this.traits.goneAt, () => this.crash(null))
  }

  /** Frames as they arrive. */
  take(session: number, message: Message): void {
    if (!this.up) return
    if (this.#asleep !== null) {
      this.#asleep.push(() => this.take(session, message))
      return
    }
    if (session !== this.session) return
    if ('run' in message) this.#takeUnits(message.run, message.resumed)
    else this.#dropUnits(message.revoke)
  }

  /** Loses everything it was doing; comes back after a while, or never. */
  crash(backAfterMs: number | null): void {
    if (!this.up) return
    this.#forget()
    this.up = false
    this.#asleep = null
    // Half of the time the other side is told by a reset, otherwise it hears nothing any more.
    const { session } = this
    if (this.#world.chance(0.5)) this.link.send(() => this.#listener.closed(this, session))
    this.#connect()
    if (backAfterMs === null) return
    this.#world.after(backAfterMs, () => {
      this.up = true
      this.#listener.closed(this, session)
    })
  }

  /** Stops in the middle of everything, like a closed lid, and goes on later as if nothing had been. */
  sleep(ms: number): void {
    if (!this.up || this.#asleep !== null) return
    const held: (() => void)[] = []
    this.#asleep = held
    this.#world.after(ms, () => {
      if (this.#asleep !== held) return
      this.#asleep = null
      for (const action of held) action()
    })
  }

  partition(ms: number): void {
    if (this.link.cut) return
    this.link.cut = true
    this.#world.after(ms, () => this.link.heal())
  }

  /** The owner wants the machine: everything is handed back. */
  pause(ms: number): void {
    if (!this.up || this.#asleep !== null) return
    this.#pausedUntil = this.#world.now + ms
    const units = [...this.#queue, ...this.#doing.filter(({ done }) => !done).map(({ unit }) => unit)]
    this.#forget()
    if (units.length > 0) this.#say({ type: 'handback', peer: this.traits.id, job: JOB, units, code: 'E_PAUSED' })
    this.#sayAd()
    this.#world.after(ms, () => this.#sayAd())
  }

  /** What it offers now, and for how long its owner keeps it. */
  ad(): Ad {
    const returnsInMs = Math.ceil(this.#pausedUntil - this.#world.now)
    return { ...adOf(this.traits), paused: returnsInMs > 0 ? { forMs: 0, returnsInMs } : null }
  }

  /** The other side ended the session. Half of the time what was begun goes on, and is told about late. */
  sessionEnded(): void {
    this.#connect()
    if (this.#world.chance(0.5)) this.#forget()
  }

  #forget(): void {
    this.#life += 1
    this.#queue = []
    this.#resumed.clear()
    this.#doing = []
    this.#outbox = []
  }

  /** Tries until there is a session again. */
  #connect(): void {
    this.connected = false
    if (this.#connecting || this.#world.now >= this.traits.goneAt) return
    this.#connecting = true
    this.#world.after(this.#world.between(100, 1_500), () => {
      this.#connecting = false
      if (!this.up || this.#asleep !== null || this.link.cut) {
        this.#connect()
        return
      }
      this.connected = true
      this.session += 1
      this.#listener.opened(this, this.session)
    })
  }

  #beat(): void {
    this.#world.after(LIMITS.BEAT_MS * this.#world.between(0.9, 1.1), () => {
      if (this.up && this.#asleep === null && this.connected) {
        this.#say({ type: 'peer.alive', peer: this.traits.id })
        // One that was lost on the way is told again, as ads are.
        if (this.#world.now - this.#pausedUntil < AD_AGAIN_MS) this.#sayAd()
      }
      if (this.#world.now < this.traits.goneAt) this.#beat()
    })
  }

  #sayAd(): void {
    if (!this.up || this.#asleep !== null || !this.connected) return
    this.#say({ type: 'peer.ad', peer: this.traits.id, ad: this.ad() })
  }

  #takeUnits(units: number[], resumed: ReadonlyMap<number, Uint8Array>): void {
    const { id: peer } = this.traits
    if (this.#refusals > 0) {
      this.#refusals -= 1
      const final = this.#refusals === Number.POSITIVE_INFINITY
      const code = final ? 'E_OWN_LIMITS' : 'E_BUSY'
      this.#say({ type: 'job.refused', peer, job: JOB, code, retryAfterMs: final ? null : 500 })
    } else if (this.#world.now < this.#pausedUntil) {
      this.#say({ type: 'handback', peer, job: JOB, units, code: 'E_PAUSED' })
    } else {
      this.#queue.push(...units)
      for (const [unit, state] of resumed) this.#resumed.set(unit, state)
      this.#fill()
    }
  }

  #dropUnits(units: number[] | null): void {
    const unwanted = (unit: number) => units === null || units.includes(unit)
    this.#queue = this.#queue.filter((unit) => !unwanted(unit))
    for (const doing of this.#doing) if (unwanted(doing.unit) && this.#world.chance(0.5)) doing.done = true
    this.#doing = this.#doing.filter(({ done }) => !done)
    this.#fill()
  }

  #fill(): void {
    while (this.#doing.length < this.traits.slots) {
      const unit = this.#queue.shift()
      if (unit === undefined) return
      const doing = { unit, done: false, state: this.#stateOf(unit) }
      this.#doing.push(doing)
      const wholeMs = (this.#scenario.unitMs / this.traits.speed) * this.#world.between(0.5, 1.5)
      const ms = wholeMs * (1 - doing.state.done)
      if (this.#scenario.saves) this.#saveAtTimes(doing, ms)
      this.#whenAwake(ms, () => this.#end(doing))
    }
  }

  /** What it goes on from; else its beginning. */
  #stateOf(unit: number): State {
    const resumed = this.#resumed.get(unit)
    this.#resumed.delete(unit)
    return resumed === undefined ? { unit, done: 0, by: [] } : decodeState(resumed)
  }

  #saveAtTimes(doing: Doing, ms: number): void {
    const { unit, done, by } = doing.state
    const all = [...new Set([...by, this.traits.id])].sort()
    for (let count = this.#world.int(0, SAVES_MAX); count > 0; count--) {
      const part = this.#world.between(0, 1)
      const isTooLarge = this.traits.lies > 0 && this.#world.chance(TOO_LARGE_CHANCE)
      this.#whenAwake(ms * part, () => {
        if (doing.done) return
        const state = isTooLarge ? TOO_LARGE : encodeState({ unit, done: done + part * (1 - done), by: all })
        const { session } = this
        this.link.send(() => this.#listener.saved(this, session, unit, state))
      })
    }
  }

  #end(doing: Doing): void {
    if (doing.done) return
    doing.done = true
    this.#doing.splice(this.#doing.indexOf(doing), 1)
    this.#outbox.push(this.#attempt(doing))
    if (this.#outbox.length === 1) this.#whenAwake(this.#world.between(0, 10), () => this.#flush())
    this.#fill()
  }

  #flush(): void {
    const attempts = this.#outbox.splice(0, LIMITS.FRAME_UNITS_MAX)
    if (attempts.length === 0) return
    this.#say({ type: 'results', peer: this.traits.id, job: JOB, attempts })
    if (this.#outbox.length > 0) this.#flush()
  }

  #attempt({ unit, state }: Doing): AttemptEnd {
    const { lies, plots, liesAfter, faulty, slanders } = this.traits
    this.#told += 1
    if (this.#world.chance(faulty)) {
      return { unit, ok: false, code: 'E_UNIT_CRASHED', message: 'crashed', blame: 'machine' }
    }
    if (this.#scenario.program.failsOn(unit) || this.#world.chance(slanders)) {
      return { unit, ok: false, code: 'E_TASK_THREW', message: 'threw', blame: 'program' }
    }
    const lying = this.#told > liesAfter && this.#world.chance(lies)
    const lie = () => (this.#world.chance(plots) ? truth(unit) + 1_000 : this.#world.between(0, 1_000))
    // What goes on from the state of another unit comes to nothing.
    const number = lying || state.unit !== unit ? lie() : truth(unit) + this.#noise()
    return { unit, ok: true, value: String(number), digest: `=${number}` }
  }

  /** Machines differ in the last digits where the job says that they may. */
  #noise(): number {
    return this.#scenario.policy.agree.kind === 'exact' ? 0 : this.#world.between(-1e-9, 1e-9)
  }

  #say(event: SchedulerEvent): void {
    const { session } = this
    this.link.send(() => this.#listener.heard(this, session, event))
  }

  #whenAwake(ms: number, action: () => void): void {
    const life = this.#life
    this.#world.after(ms, () => {
      if (life !== this.#life || !this.up) return
      if (this.#asleep !== null) this.#asleep.push(() => life === this.#life && action())
      else action()
    })
  }
}

/** The value of a unit, as any honest peer finds it. */
export const truth = (unit: number): number => unit + 0.5
