/**
 * One job on a few machines of known speed, with the true scheduler: how long it takes, and how much is run in vain.
 * Machines work as real ones do: units in batches of SANDBOX_BATCH_MS, results gathered before they are sent, signs of
 * life, a cut-off unit costs its slot a new sandbox. They differ in speed, change it, and stall alive.
 */

import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { JobProgress, SchedulerEffect, SchedulerEvent } from '../../node/jobs/scheduler/events.ts'
import { createScheduler, type Scheduler } from '../../node/jobs/scheduler/scheduler.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { policySchema } from '../../protocol/manifest.ts'
import { adOf } from './ads.ts'
import { endOf, leastMakespan, type Machine, movingMs } from './optimum.ts'
import type { World } from './world.ts'

export type Fleet = {
  machines: readonly (Machine & { latencyMs: number; advertised: number })[]
  /** Work of each unit: milliseconds on a slot of speed 1. */
  works: readonly number[]
  /** Peers that must agree. */
  agree: number
}

export type FleetReport = {
  makespanMs: number
  /** No schedule takes less. */
  boundMs: number
  /** Slot time spent, and of it on runs whose result was not needed; without the time a machine stood still. */
  spentMs: number
  vainMs: number
  runs: number
  /** As the scheduler itself tells. */
  progress: JobProgress
}

/** Time to start a sandbox. */
const RESTART_MS = 150
const GIVE_UP_FACTOR = 100

/** Sees every event and effect. */
export type Trace = (now: number, way: '>' | '<', what: SchedulerEvent | SchedulerEffect) => void

export function runFleet(world: World, fleet: Fleet, trace: Trace = () => undefined): FleetReport {
  return new Run(world, fleet, trace).report()
}

type Slot = { busyUntil: number; batch: number[]; units: Set<number>; began: number; life: number }

class Run {
  readonly #world: World
  readonly #fleet: Fleet
  readonly #scheduler: Scheduler
  readonly #machines: MachineModel[]
  readonly #trace: Trace
  #wake: number | null = null
  #settledAt: number | null = null
  #lastProgress: JobProgress | null = null

  constructor(world: World, fleet: Fleet, trace: Trace) {
    this.#trace = trace
    this.#world = world
    this.#fleet = fleet
    this.#scheduler = createScheduler({ random: xoroshiro128plus(world.int(0, 0x7fffffff)) })
    this.#machines = fleet.machines.map(
      (_, index) => new MachineModel(world, fleet, index, (event) => this.#step(event)),
    )
  }

  report(): FleetReport {
    const { machines, works, agree } = this.#fleet
    for (const machine of this.#machines) machine.start()
    const policy = policySchema.parse({
      timeoutMs: LIMITS.UNIT_TIMEOUT_MAX_MS,
      ...(agree > 1 ? { verify: { kind: 'quorum', agree, of: 2 * agree - 1 } } : {}),
    })
    const job = { id: 'job', size: works.length, policy, isSettled: () => false, settledCount: 0 }
    this.#step({ type: 'job.added', job })
    const boundMs = leastMakespan(machines, works, agree)
    this.#world.run(GIVE_UP_FACTOR * boundMs + 60_000, () => this.#settledAt !== null)
    const progress = this.#scheduler.progress('job') ?? this.#lastProgress
    if (this.#settledAt === null || progress === null) {
      throw new Error(`not settled by ${this.#world.now} ms: ${JSON.stringify(progress)}`)
    }
    let [spent, runs] = [0, 0]
    const needed = new Map<number, number[]>()
    for (const machine of this.#machines) {
      for (const { unit, ms, endedAt } of machine.finish()) {
        spent += ms
        runs += 1
        if (endedAt === null) continue
        const ends = needed.get(unit) ?? []
        needed.set(unit, ends)
        ends.push(endedAt)
        ends.sort((a, b) => a - b)
      }
    }
    let useful = 0
    for (const machine of this.#machines) {
      for (const { unit, ms, endedAt } of machine.spells) {
        const last = needed.get(unit)?.[agree - 1] ?? Number.POSITIVE_INFINITY
        if (endedAt !== null && endedAt <= last) useful += ms
      }
    }
    return { makespanMs: this.#settledAt, boundMs, spentMs: spent, vainMs: spent - useful, runs, progress }
  }

  #step(event: SchedulerEvent): void {
    if (this.#settledAt !== null) return
    this.#trace(this.#world.now, '>', event)
    for (const effect of this.#scheduler.step(event, this.#world.now)) {
      this.#trace(this.#world.now, '<', effect)
      if (effect.type === 'settled') this.#settledAt = this.#world.now
      if (effect.type !== 'run' && effect.type !== 'revoke') continue
      const machine = this.#machines.find(({ id }) => id === effect.peer)
      if (effect.type === 'run') machine?.hear(() => machine.take(effect.units))
      else machine?.hear(() => machine.revoke(effect.units))
    }
    const at = this.#scheduler.nextWake()
    if (at === null || (this.#wake !== null && this.#wake <= at)) return
    this.#wake = at
    this.#world.after(Math.max(0, at - this.#world.now), () => {
      if (this.#wake !== at) return
      this.#wake = null
      this.#step({ type: 'tick' })
    })
  }
}

/** What a slot did: one run of one unit, ended or cut off. */
type Spell = { unit: number; ms: number; endedAt: number | null }

class MachineModel {
  readonly id: string
  readonly spells: Spell[] = []
  readonly #world: World
  readonly #fleet: Fleet
  readonly #machine: Fleet['machines'][number]
  readonly #tell: (event: SchedulerEvent) => void
  readonly #slots: Slot[]
  #queue: number[] = []
  #outbox: number[] = []
  readonly #arrivedAt = new Map<number, number>()
  #sentAt = Number.NEGATIVE_INFINITY

  constructor(world: World, fleet: Fleet, index: number, tell: (event: SchedulerEvent) => void) {
    const machine = fleet.machines[index]
    if (machine === undefined) throw new RangeError('no such machine')
    this.id = `peer-${index}`
    this.#world = world
    this.#fleet = fleet
    this.#machine = machine
    this.#tell = tell
    this.#slots = Array.from({ length: machine.slots }, () => ({
      busyUntil: 0,
      batch: [],
      units: new Set<number>(),
      began: -1,
      life: 0,
    }))
  }

  start(): void {
    const { slots, advertised } = this.#machine
    const ad = adOf({ id: this.id, slots, speed: advertised, room: 'a' })
    this.#tell({ type: 'peer.up', peer: this.id, trust: 'member', ad })
    this.#beat()
  }

  /** A frame on its way here; frames keep their order. */
  hear(deliver: () => void): void {
    this.#world.after(this.#machine.latencyMs, deliver)
  }

  take(units: readonly number[]): void {
    for (const unit of units) this.#arrivedAt.set(unit, this.#world.now)
    this.#queue.push(...units)
    for (const slot of this.#slots) this.#fill(slot)
  }

  revoke(units: readonly number[] | null): void {
    const unwanted = (unit: number) => units === null || units.includes(unit)
    this.#queue = this.#queue.filter((unit) => !unwanted(unit))
    for (const slot of this.#slots) {
      if (slot.units.size === 0 || ![...slot.units].every(unwanted)) continue
      this.#cut(slot)
      const { life } = slot
      this.#world.after(RESTART_MS, () => slot.life === life && this.#fill(slot))
    }
  }

  /** What was run, and what still ran. */
  finish(): readonly Spell[] {
    for (const slot of this.#slots) this.#cut(slot)
    return this.spells
  }

  #cut(slot: Slot): void {
    const [running] = slot.units
    if (running !== undefined) this.#note(running, slot, null)
    slot.units.clear()
    slot.batch = []
    slot.life += 1
  }

  #note(unit: number, slot: Slot, endedAt: number | null): void {
    this.spells.push({ unit, ms: movingMs(this.#machine, slot.began, this.#world.now), endedAt })
  }

  #beat(): void {
    this.#world.after(LIMITS.BEAT_MS * this.#world.between(0.9, 1.1), () => {
      this.#say({ type: 'peer.alive', peer: this.id })
      this.#beat()
    })
  }

  #fill(slot: Slot): void {
    if (slot.units.size > 0 || this.#queue.length === 0) return
    const next = this.#queue[0] ?? 0
    const typicalMs = this.#workOf(next)
    const fitting = Math.max(1, Math.min(LIMITS.FRAME_UNITS_MAX, Math.round(LIMITS.SANDBOX_BATCH_MS / typicalMs)))
    const batch = Math.min(fitting, Math.ceil(this.#queue.length / this.#slots.length))
    slot.batch = this.#queue.splice(0, batch)
    slot.units = new Set(slot.batch)
    slot.life += 1
    this.#runNext(slot)
  }

  #runNext(slot: Slot): void {
    const unit = slot.batch.shift()
    if (unit === undefined) {
      this.#fill(slot)
      return
    }
    const { life } = slot
    slot.began = this.#world.now
    const endsAt = endOf(this.#machine, this.#world.now, this.#workOf(unit))
    if (endsAt === Number.POSITIVE_INFINITY) return
    this.#world.after(endsAt - this.#world.now, () => {
      if (slot.life !== life) return
      this.#note(unit, slot, this.#world.now)
      slot.units.delete(unit)
      this.#outbox.push(unit)
      this.#runNext(slot)
      this.#flushSoon()
    })
  }

  #workOf(unit: number): number {
    return this.#fleet.works[unit] ?? 0
  }

  /** Gathered for a while after the last frame; with little more to run, at once. */
  #flushSoon(): void {
    const urgent = this.#queue.length <= this.#slots.length
    const waitMs = urgent ? 0 : Math.max(0, this.#sentAt + LIMITS.RESULTS_INTERVAL_MS - this.#world.now)
    this.#world.after(waitMs, () => {
      if (this.#outbox.length > 0) this.#sentAt = this.#world.now
      for (let from = 0; from < this.#outbox.length; from += LIMITS.FRAME_UNITS_MAX) {
        const attempts = this.#outbox
          .slice(from, from + LIMITS.FRAME_UNITS_MAX)
          .map((unit) => ({ unit, ok: true as const, value: '1', digest: '#1' }))
        const first = attempts[0]?.unit ?? 0
        const held: [number, number] = [first, this.#world.now - (this.#arrivedAt.get(first) ?? 0)]
        this.#say({ type: 'results', peer: this.id, job: 'job', attempts, held })
      }
      this.#outbox = []
    })
  }

  #say(event: SchedulerEvent): void {
    this.#world.after(this.#machine.latencyMs, () => this.#tell(event))
  }
}
