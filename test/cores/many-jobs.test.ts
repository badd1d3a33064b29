/** A thousand jobs of one submitter at once: each has its turns, workers know few of them, no event costs more. */

import { expect, it } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { adOf, Desk } from './fixture.ts'

/** A worker that runs so many units of its jobs in turn with each call, and knows the jobs it was told of. */
class Crew {
  readonly desk = new Desk()
  readonly #peers = new Map<string, Map<string, number[]>>()
  readonly told = new Map<string, Set<string>>()
  /** When each job first ended a unit, and when last. */
  readonly firstAt = new Map<string, number>()
  readonly lastAt = new Map<string, number>()
  readonly gaps = new Map<string, number>()
  readonly ends = new Map<string, number>()
  toldMost = 0
  /** A job whose units do not end. */
  stuck = ''

  constructor(peers: number, cpus: number) {
    for (let i = 0; i < peers; i++) {
      this.#peers.set(`p${i}`, new Map())
      this.told.set(`p${i}`, new Set())
      this.desk.step({ type: 'peer.up', peer: `p${i}`, trust: 'member', ad: adOf(`p${i}`, { cpus }) })
    }
    this.#follow()
  }

  /** Each peer ends `units` units, of as many jobs as it can. */
  tick(ms: number, units: number): void {
    this.desk.now += ms
    this.#follow()
    for (const [peer, jobs] of this.#peers) {
      this.desk.step({ type: 'peer.alive', peer })
      for (const [job, held] of [...jobs].slice(0, units)) {
        if (job === this.stuck) continue
        const unit = held.shift()
        jobs.delete(job)
        if (held.length > 0) jobs.set(job, held)
        if (unit === undefined) continue
        this.#note(job)
        this.desk.ends(peer, [unit], '1', job)
        this.#follow()
      }
    }
  }

  #note(job: string): void {
    const { now } = this.desk
    this.firstAt.set(job, this.firstAt.get(job) ?? now)
    this.gaps.set(job, Math.max(this.gaps.get(job) ?? 0, now - (this.lastAt.get(job) ?? now)))
    this.lastAt.set(job, now)
    this.ends.set(job, (this.ends.get(job) ?? 0) + 1)
  }

  #follow(): void {
    for (const effect of this.desk.all.splice(0)) {
      if (effect.type === 'settled') for (const told of this.told.values()) told.delete(effect.job)
      if (effect.type !== 'run' && effect.type !== 'revoke') continue
      const [held, told] = [this.#peers.get(effect.peer), this.told.get(effect.peer)]
      if (effect.type === 'run') {
        held?.set(effect.job, [...(held.get(effect.job) ?? []), ...effect.units])
        told?.add(effect.job)
      } else if (effect.units === null) {
        expect(held?.get(effect.job) ?? []).toEqual([])
        told?.delete(effect.job)
      } else {
        const { units } = effect
        const left = (held?.get(effect.job) ?? []).filter((unit) => !units.includes(unit))
        if (left.length > 0) held?.set(effect.job, left)
        else held?.delete(effect.job)
      }
      this.toldMost = Math.max(this.toldMost, told?.size ?? 0)
    }
  }
}

const JOBS = LIMITS.JOBS_ACTIVE_MAX

it('long ones all have their turn, by priority, and a worker is told of a bounded number', () => {
  const crew = new Crew(2, 2)
  for (let i = 0; i < JOBS; i++) crew.desk.job(1_000_000, { priority: i % 2 }, `job${i}`)
  // 100 units a second and peer: 5 turns a job.
  for (let i = 0; i < 4_000; i++) crew.tick(500, 50)
  expect(crew.ends.size).toBe(JOBS)
  expect(crew.toldMost).toBeLessThanOrEqual(LIMITS.JOBS_TOLD_MAX)
  const turns = [0, 1].map((odd) => {
    const ends = Array.from({ length: JOBS / 2 }, (_, i) => crew.ends.get(`job${2 * i + odd}`) ?? 0)
    return ends.reduce((sum, count) => sum + count) / ends.length
  })
  expect((turns[1] ?? 0) / (turns[0] ?? 1)).toBeGreaterThan(1.6)
  expect((turns[1] ?? 0) / (turns[0] ?? 1)).toBeLessThan(2.4)
})

it('short ones all end, long ones beside them go on, and a new one begins at once', () => {
  const crew = new Crew(2, 2)
  for (let i = 0; i < JOBS - 1; i++) crew.desk.job(i % 10 === 0 ? 100_000 : 20, {}, `job${i}`)
  for (let i = 0; i < 3_000; i++) crew.tick(100, 20)
  expect(crew.ends.size).toBe(JOBS - 1)
  for (let i = 0; i < JOBS - 1; i++) if (i % 10 > 0) expect(crew.desk.progress(`job${i}`).accepted).toBe(20)
  const begun = crew.desk.now
  crew.desk.job(20, {}, 'new')
  for (let i = 0; i < 50; i++) crew.tick(100, 10)
  expect((crew.firstAt.get('new') ?? Number.POSITIVE_INFINITY) - begun).toBeLessThanOrEqual(1_000)
})

it('begun ones go on while new ones never cease to come', () => {
  const crew = new Crew(1, 1)
  for (let i = 0; i < 40; i++) crew.desk.job(100_000, {}, `old${i}`)
  for (let i = 0; i < 100; i++) crew.tick(100, 10)
  const before = new Map(crew.ends)
  for (let i = 0; i < 2_000; i++) {
    crew.desk.job(5, {}, `new${i}`)
    crew.tick(100, 10)
  }
  for (let i = 0; i < 40; i++) expect(crew.ends.get(`old${i}`)).toBeGreaterThan(before.get(`old${i}`) ?? 0)
})

it('a worker is not made to forget a job whose unit it runs', () => {
  const crew = new Crew(1, 1)
  crew.stuck = 'stuck'
  crew.desk.job(1, { timeoutMs: LIMITS.UNIT_TIMEOUT_MAX_MS }, 'stuck')
  for (let i = 1; i < JOBS; i++) crew.desk.job(1_000, {}, `job${i}`)
  for (let i = 0; i < 600; i++) crew.tick(500, 50)
  expect(crew.told.get('p0')).toContain('stuck')
  expect(crew.toldMost).toBe(LIMITS.JOBS_TOLD_MAX)
})

it('an event costs no more with many jobs than with few', () => {
  const crewOf = (jobs: number): Crew => {
    const crew = new Crew(4, 4)
    for (let i = 0; i < jobs; i++) crew.desk.job(1_000_000, {}, `job${i}`)
    for (let i = 0; i < 20; i++) crew.tick(100, 20)
    return crew
  }
  /** Of the processor, whoever else has it between. */
  const cost = (crew: Crew): number => {
    const before = process.cpuUsage()
    for (let i = 0; i < 10; i++) crew.tick(100, 20)
    const { user, system } = process.cpuUsage(before)
    return user + system
  }
  const [many, few] = [crewOf(JOBS), crewOf(JOBS / 10)]
  const least = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  // In turn, so that what slows the machine slows both.
  for (let round = 0; round < 20; round++) {
    for (const [i, crew] of [many, few].entries()) least[i] = Math.min(least[i] ?? 0, cost(crew))
  }
  expect((least[0] ?? 0) / (least[1] ?? 0)).toBeLessThan(3)
})

it('take little memory each', () => {
  const crew = new Crew(32, 2)
  for (let i = 0; i < JOBS; i++) crew.desk.job(1_000_000, {}, `job${i}`)
  for (let i = 0; i < 20; i++) crew.tick(100, 20)
  const { jobs, undecidedUnits } = crew.desk.scheduler.load()
  expect(jobs).toBe(JOBS)
  expect(undecidedUnits).toBeLessThan(32 * LIMITS.PEER_WINDOW_UNITS_MAX)
})
