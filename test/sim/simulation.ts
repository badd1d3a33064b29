/** One run of the real scheduler and verification in a simulated world. The seed decides everything. */

import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { Checkpoints } from '../../node/jobs/checkpoints.ts'
import type { SchedulerEffect, SchedulerEvent } from '../../node/jobs/scheduler/events.ts'
import { createScheduler, type Scheduler, type SchedulerInit } from '../../node/jobs/scheduler/scheduler.ts'
import { digestOf } from '../../protocol/canonical.ts'
import { toSubmitterSchema } from '../../protocol/work.ts'
import { Books } from './books.ts'
import { Checker, Violation } from './checker.ts'
import { drawScenario, type Scenario, type ScenarioLimits } from './scenario.ts'
import { JOB, type Listener, type Message, Worker } from './worker.ts'
import { World } from './world.ts'

/** A fault put into the code under test, to see that the simulator finds it. */
export type Plant = {
  components?: Partial<SchedulerInit>
  /** Changes what the scheduler is told; null: it is not told. */
  event?: (event: SchedulerEvent) => SchedulerEvent | null
  /** The ledger forgets this unit over a restart. */
  forgets?: (unit: number) => boolean
  checkpoints?: (components: CheckpointsInit) => Checkpoints
  adapt?: (scenario: Scenario) => Scenario
}

type CheckpointsInit = ConstructorParameters<typeof Checkpoints>[0]

export type SimulationInit = ScenarioLimits & {
  seed: number
  plant?: Plant
  /** Changes what was drawn. */
  adapt?: (scenario: Scenario) => Scenario
  trace?: (line: string) => void
  /** Called now and then: how many units are decided, and what the scheduler holds. */
  sample?: (decided: number, load: ReturnType<Scheduler['load']>) => void
}

export type Report = {
  seed: number
  scenario: Scenario
  virtualMs: number
  steps: number
  runs: number
  handedOn: number
  failed: number
  /** As the scheduler counts them, since the last restart. */
  executions: number
  wasted: number
  restarts: number
  mostUndecided: number
  /** Units that ended with a wrong value, were ever withdrawn; and peers that are believed no more. */
  wrong: number
  withdrawn: number
  caught: string[]
}

/** @throws Violation with the seed and how to run it again */
export function simulate(init: SimulationInit): Report {
  const simulation = new Simulation(init)
  try {
    return simulation.run()
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    const again = `node test/sim/run.ts --seed ${init.seed} --peers ${init.peers} --units ${init.units} --trace`
    throw new Violation(`seed ${init.seed}, ${error.message}\nrun it again with: ${again}`)
  }
}

/** Which units are checked does not matter to any peer here. */
const CHECK_KEY = new Uint8Array(32)
/** The job as messages name one. */
const ON_WIRE = digestOf(JOB)
/** In one of so many the job is held for a while. */
const HELD_SEEDS = 3

class Simulation implements Listener {
  readonly #init: SimulationInit
  readonly #world: World
  readonly #scenario: Scenario
  readonly #checker: Checker
  readonly #books: Books
  readonly #workers: Map<string, Worker>
  #scheduler: Scheduler
  #checkpoints: Checkpoints
  #open = new Map<string, number>()
  #startedAt = 0
  #steps = 0
  #restarts = 0
  #wake: number | null = null

  constructor(init: SimulationInit) {
    this.#init = init
    this.#world = new World(init.seed)
    const drawn = drawScenario(this.#world, init)
    const adapt = init.adapt ?? init.plant?.adapt
    this.#scenario = adapt === undefined ? drawn : adapt(drawn)
    this.#books = new Books(this.#world, { kept: this.#scenario.policy.verify.kind === 'confidence' })
    this.#checker = new Checker(this.#world, this.#scenario, this.#books)
    this.#workers = new Map(
      this.#scenario.peers.map((traits) => [traits.id, new Worker(this.#world, this.#scenario, traits, this)]),
    )
    this.#scheduler = this.#newScheduler()
    this.#checkpoints = this.#newCheckpoints()
  }

  run(): Report {
    const { units, endAt, submitterRestarts, healedAt } = this.#scenario
    for (const worker of this.#workers.values()) {
      worker.start()
      this.#strike(worker)
    }
    for (let i = 0; i < submitterRestarts; i++) {
      this.#world.after(this.#world.between(0, healedAt), () => this.#restart())
    }
    if (this.#init.seed % HELD_SEEDS === 0) {
      this.#world.after(this.#world.between(0, healedAt), () => this.#hold(this.#world.logBetween(50, 10_000)))
    }
    this.#world.after(this.#scenario.startAt, () => this.#addJob())
    this.#world.run(endAt, () => this.#checker.settled)
    if (!this.#checker.settled) {
      const progress = JSON.stringify(this.#scheduler.progress(JOB))
      this.#checker.fail(`not settled, ${units - this.#checker.decided.size} units undecided: ${progress}`)
    }
    this.#checker.account(this.#scheduler)
    return {
      seed: this.#init.seed,
      scenario: this.#scenario,
      virtualMs: this.#world.now,
      steps: this.#steps,
      runs: this.#checker.runs,
      handedOn: this.#checker.handedOn,
      failed: this.#checker.failed,
      ...this.#scheduler.spent(JOB),
      restarts: this.#restarts,
      mostUndecided: this.#checker.mostUndecided,
      wrong: this.#checker.wrong.size,
      withdrawn: this.#checker.withdrawn,
      caught: this.#scenario.peers.map(({ id }) => id).filter((id) => this.#books.isCaught(id)),
    }
  }

  opened(worker: Worker, session: number): void {
    worker.link.send(() => {
      if (session !== worker.session || this.#open.get(worker.traits.id) === session) return
      this.#open.set(worker.traits.id, session)
      this.#step({ type: 'peer.up', peer: worker.traits.id, trust: worker.traits.trust, ad: worker.ad() })
    })
  }

  heard(worker: Worker, session: number, event: SchedulerEvent): void {
    const current = this.#open.get(worker.traits.id) === session
    // Words of a session that is over are lost, or come over the next one.
    if (!current && (event.type !== 'results' || this.#world.chance(0.5))) return
    if (event.type === 'results') this.#checkpoints.ended(JOB, event.attempts, event.peer)
    this.#step(event)
  }

  /** As a session takes it: what breaks a bound ends it. */
  saved(worker: Worker, session: number, unit: number, state: Uint8Array): void {
    const { id } = worker.traits
    if (this.#open.get(id) !== session) return
    this.#checker.saved(unit, id, state)
    if (toSubmitterSchema.safeParse({ t: 'checkpoint', job: ON_WIRE, unit, state }).success) {
      this.#checkpoints.keep(JOB, unit, id, state)
      return
    }
    this.#open.delete(id)
    worker.sessionEnded()
    this.#step({ type: 'peer.down', peer: id, code: 'E_FRAME' })
  }

  closed(worker: Worker, session: number): void {
    if (this.#open.get(worker.traits.id) !== session) return
    this.#open.delete(worker.traits.id)
    this.#step({ type: 'peer.down', peer: worker.traits.id, code: 'E_UNREACHABLE' })
  }

  #newScheduler(): Scheduler {
    const random = xoroshiro128plus(this.#world.int(0, 0x7fffffff))
    return createScheduler({ random, credit: (peer) => this.#books.credit(peer), ...this.#init.plant?.components })
  }

  #newCheckpoints(): Checkpoints {
    const components: CheckpointsInit = {
      policyOf: () => this.#scenario.policy,
      scheduler: { isHeld: (...of) => this.#scheduler.isHeld(...of) },
      now: () => this.#world.now,
    }
    return this.#init.plant?.checkpoints?.(components) ?? new Checkpoints(components)
  }

  #addJob(): void {
    const { units, policy } = this.#scenario
    const { decided, failed } = this.#checker
    const forgets = this.#init.plant?.forgets
    let settledCount = decided.size
    for (let unit = 0; forgets !== undefined && unit < units; unit++) {
      if (decided.has(unit) && forgets(unit)) settledCount -= 1
    }
    this.#startedAt ||= this.#world.now
    this.#step({
      type: 'job.added',
      job: {
        id: JOB,
        size: units,
        policy,
        isSettled: (unit) => decided.has(unit) && !forgets?.(unit),
        settledCount,
        failedCount: failed,
        checkKey: CHECK_KEY,
        catches: this.#books.catches,
        gate:
          this.#checker.heldSince === null
            ? null
            : { reason: 'held', forMs: this.#world.now - this.#checker.heldSince },
      },
    })
  }

  /** The submitter's node is killed: it goes on with nothing but its ledger. */
  #restart(): void {
    if (this.#startedAt === 0 || this.#checker.decided.size === this.#scenario.units) return
    this.#restarts += 1
    this.#trace('the submitter restarts')
    for (const id of this.#open.keys()) this.#workers.get(id)?.sessionEnded()
    this.#open.clear()
    this.#checker.restarted()
    this.#scheduler = this.#newScheduler()
    this.#checkpoints = this.#newCheckpoints()
    this.#wake = null
    this.#addJob()
  }

  /** The submitter holds the job for a while; its ledger remembers that. */
  #hold(ms: number): void {
    this.#trace(`held for ${ms.toFixed(0)} ms`)
    this.#checker.heldSince = this.#world.now
    this.#step({ type: 'job.gate', job: JOB, gate: { reason: 'held', forMs: 0 } })
    this.#world.after(ms, () => {
      this.#checker.heldSince = null
      this.#step({ type: 'job.gate', job: JOB, gate: null })
    })
  }

  /** Something happens to the machine now and then, until the world is healed. */
  #strike(worker: Worker): void {
    const { faultEveryMs, healedAt } = this.#scenario
    this.#world.after(this.#world.between(0, 2 * faultEveryMs), () => {
      if (this.#world.now > healedAt) return
      const fault = this.#world.pick(['crash', 'sleep', 'partition', 'pause'] as const)
      const ms = this.#world.logBetween(50, 20_000)
      this.#trace(`${worker.traits.id} ${fault} ${ms.toFixed(0)} ms`)
      worker[fault](ms)
      this.#strike(worker)
    })
  }

  #step(event: SchedulerEvent): void {
    this.#steps += 1
    this.#trace(() => `> ${JSON.stringify(event, (key, value) => (key === 'ad' ? undefined : value))}`)
    this.#checker.event(event)
    const told = this.#init.plant?.event === undefined ? event : this.#init.plant.event(event)
    if (told === null) return
    for (const effect of this.#scheduler.step(told, this.#world.now)) this.#perform(effect)
    // It looks at every peer: seldom enough not to be what takes the time.
    if (this.#steps % Math.max(16, this.#workers.size) === 0) {
      this.#checker.account(this.#scheduler)
      this.#init.sample?.(this.#checker.decided.size, this.#scheduler.load())
    }
    this.#setWake()
  }

  #perform(effect: SchedulerEffect): void {
    this.#trace(() => `< ${JSON.stringify(effect)}`)
    this.#checker.effect(effect)
    this.#books.note(effect)
    if (effect.type === 'recall') this.#recall(effect)
    if (effect.type === 'compare') {
      const same = Math.abs(Number(effect.a.value) - Number(effect.b.value)) < 1e-6
      const answer = { job: JOB, unit: effect.unit, a: effect.a.digest, b: effect.b.digest, same }
      this.#world.after(this.#world.between(0, 50), () => this.#step({ type: 'compared', ...answer }))
    }
    if (effect.type !== 'run' && effect.type !== 'revoke' && effect.type !== 'drop') return
    const worker = this.#workers.get(effect.peer)
    const session = this.#open.get(effect.peer)
    if (worker === undefined || session === undefined) return
    if (effect.type === 'drop') {
      this.#open.delete(effect.peer)
      worker.link.send(() => worker.session === session && worker.sessionEnded())
    } else {
      const message = effect.type === 'run' ? this.#run(effect) : { revoke: effect.units }
      worker.link.send(() => worker.take(session, message))
    }
  }

  /** Units with what they go on from. */
  #run({ peer, units, canary }: Extract<SchedulerEffect, { type: 'run' }>): Message {
    const resumed = new Map<number, Uint8Array>()
    for (const unit of units) {
      const state = this.#checkpoints.of(JOB, unit, peer)
      if (canary !== true) this.#checker.resumed(unit, peer, state)
      if (state !== undefined) resumed.set(unit, state)
    }
    return { run: units, resumed }
  }

  /** In pages, and after what else happens meanwhile. */
  #recall(effect: Extract<SchedulerEffect, { type: 'recall' }>): void {
    const scheduler = this.#scheduler
    this.#world.after(this.#world.between(0, 50), () => {
      if (this.#scheduler !== scheduler) return
      const units = this.#books.read(effect)
      for (const unit of units) this.#step({ type: 'recalled', job: JOB, units: [unit], last: false })
      this.#step({ type: 'recalled', job: JOB, units: [], last: true })
    })
  }

  #setWake(): void {
    const at = this.#scheduler.nextWake()
    if (at === null || (this.#wake !== null && this.#wake <= at)) return
    this.#wake = at
    const scheduler = this.#scheduler
    this.#world.after(Math.max(0, at - this.#world.now) + this.#world.between(0, 20), () => {
      if (this.#wake !== at || this.#scheduler !== scheduler) return
      this.#wake = null
      this.#step({ type: 'tick' })
    })
  }

  #trace(line: string | (() => string)): void {
    this.#init.trace?.(`${this.#world.now.toFixed(1)} ${typeof line === 'string' ? line : line()}`)
  }
}
