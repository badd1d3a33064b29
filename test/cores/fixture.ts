/** A scheduler with a clock in hand: events in, effects looked at by kind. */

import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { AttemptEnd, Gate, SchedulerEffect, SchedulerEvent } from '../../node/jobs/scheduler/events.ts'
import { createScheduler, type SchedulerInit } from '../../node/jobs/scheduler/scheduler.ts'
import { type Ad, adSchema } from '../../protocol/ad.ts'
import { type Policy, policySchema } from '../../protocol/manifest.ts'

export const QUORUM = { verify: { kind: 'quorum', agree: 2, of: 3 } }

type Of<T extends SchedulerEffect['type']> = Extract<SchedulerEffect, { type: T }>

export class Desk {
  readonly scheduler
  now = 0
  /** Recalls that a test has answered. */
  answered = 0
  /** Every effect so far. */
  all: SchedulerEffect[] = []
  /** Units in each peer's hands, as the effects say, oldest first; jobs do not matter. */
  readonly held = new Map<string, number[]>()

  constructor(init: Partial<SchedulerInit> = {}) {
    this.scheduler = createScheduler({ random: xoroshiro128plus(42), ...init })
  }

  step(event: SchedulerEvent): SchedulerEffect[] {
    const effects = this.scheduler.step(event, this.now)
    this.all.push(...effects)
    for (const effect of effects) {
      if (effect.type === 'run') this.#hold(effect.peer).push(...effect.units)
      if (effect.type === 'revoke') this.#drop(effect.peer, effect.units)
      if (effect.type === 'drop') this.#drop(effect.peer, null)
    }
    return effects
  }

  /** Lets time pass, waking whenever asked to; `alive` peers show signs of life. */
  pass(ms: number, alive: string[] = []): SchedulerEffect[] {
    const effects: SchedulerEffect[] = []
    const end = this.now + ms
    while (this.now < end) {
      const wake = this.scheduler.nextWake() ?? Number.POSITIVE_INFINITY
      this.now = Math.min(end, Math.max(this.now, wake), this.now + 500)
      effects.push(...this.step({ type: 'tick' }))
      for (const peer of alive) effects.push(...this.step({ type: 'peer.alive', peer }))
    }
    return effects
  }

  job(
    size: number,
    policy: object = {},
    id = 'job',
    restored: { settled?: number[]; ageMs?: number; gate?: Gate } = {},
  ) {
    const settled = new Set(restored.settled ?? [])
    const isSettled = (unit: number) => settled.has(unit)
    const spec = {
      id,
      size,
      policy: policyOf(policy),
      isSettled,
      settledCount: settled.size,
      checkKey: new Uint8Array(32),
    }
    return this.step({ type: 'job.added', job: { ...spec, ageMs: restored.ageMs ?? 0, gate: restored.gate ?? null } })
  }

  up(...peers: string[]): void {
    for (const peer of peers) this.step({ type: 'peer.up', peer, trust: 'member', ad: adOf(peer) })
  }

  strangers(...peers: string[]): void {
    for (const peer of peers)
      this.step({ type: 'peer.up', peer, trust: 'stranger', ad: adOf(peer, { strangers: true }) })
  }

  down(peer: string) {
    this.#drop(peer, null)
    return this.step({ type: 'peer.down', peer, code: 'E_UNREACHABLE' })
  }

  /** The peer ends units: with a value, or with the failure given. */
  ends(
    peer: string,
    units: number[],
    value: string | { code: string; blame: 'program' | 'machine' | 'memory' | 'time' },
    job = 'job',
    held: [unit: number, ms: number] | null = null,
  ) {
    this.#drop(peer, units)
    const attempts = units.map(
      (unit): AttemptEnd =>
        typeof value === 'string'
          ? { unit, ok: true, value, digest: `#${value}` }
          : { unit, ok: false, message: 'it failed', ...value },
    )
    return this.step({ type: 'results', peer, job, attempts, held })
  }

  /** The peer ends everything it holds. */
  endsAll(peer: string, value = '1') {
    return this.ends(peer, this.holds(peer), value)
  }

  holds(peer: string): number[] {
    return [...this.#hold(peer)]
  }

  seen<T extends SchedulerEffect['type']>(type: T): Of<T>[] {
    return this.all.filter((effect): effect is Of<T> => effect.type === type)
  }

  progress(job = 'job') {
    const progress = this.scheduler.progress(job)
    if (progress === null) throw new RangeError(`no job ${job}`)
    return progress
  }

  seat(peer: string, job = 'job') {
    const seat = this.scheduler.seats(job).find((view) => view.peer === peer)
    if (seat === undefined) throw new RangeError(`no seat for ${peer}`)
    return seat
  }

  #hold(peer: string): number[] {
    const held = this.held.get(peer) ?? []
    this.held.set(peer, held)
    return held
  }

  #drop(peer: string, units: number[] | null): void {
    this.held.set(
      peer,
      this.#hold(peer).filter((unit) => units !== null && !units.includes(unit)),
    )
  }
}

export const policyOf = (policy: object): Policy => policySchema.parse(policy)

const GiB = 1024 ** 3

export function adOf(peer: string, changes: Partial<Ad> = {}): Ad {
  return adSchema.parse({
    v: 1,
    peer,
    mesh: 'mesh',
    seq: 1,
    ttlMs: 60_000,
    name: peer,
    version: '0',
    os: 'linux',
    arch: 'x64',
    cpus: 1,
    memory: 8 * GiB,
    disk: 8 * GiB,
    speed: 1.5,
    freeSlots: 1,
    runtimes: [{ kind: 'js', version: '2', confinement: 'os' }],
    labels: {},
    reach: 'dialable',
    strangers: false,
    addresses: [],
    ...changes,
  })
}
