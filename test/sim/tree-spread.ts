/**
 * A tree spreading from one source to its askers, in simulated time: the choosing of node/mesh/trees over links of given speed.
 * A node sends pieces of what it gives to all who ask in turn; each arrives `latencyMs` after it was sent.
 */

import { Bitmap } from '../../node/mesh/trees/bitmap.ts'
import { Handout } from '../../node/mesh/trees/handout.ts'
import { Wants } from '../../node/mesh/trees/wants.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { World } from './world.ts'

export type SpreadInit = {
  seed: number
  chunks: number
  /** Bytes a millisecond that each may send: the source first. */
  upload: readonly number[]
  latencyMs: number
  /** Who can reach whom, by place in `upload`. @default all */
  linked?: (a: number, b: number) => boolean
  /** An asker that dies, and when. */
  death?: { asker: number; atMs: number }
}

export type Spread = {
  /** What the source sent, as a part of the tree. */
  copies: number
  /** What came a second time to one that had it, over all, as a part of the tree. */
  wasted: number
  /** When the last asker had everything; infinite if one never did. */
  endMs: number
}

const SOURCE = 0
const W = LIMITS.TREE_ASKS_PER_HOLDER
const TICK_MS = 250
const END_MS = 3_600_000

/** What one node gives another: one chunk after the other, a piece whenever it is its turn. */
type Flow = {
  from: number
  to: number
  asks: number[]
  any: number
  now: { chunk: number; left: number } | null
  beganMs: number
}

export function spreadTree(init: SpreadInit): Spread {
  return new Simulation(init).run()
}

class Simulation {
  readonly #init: SpreadInit
  readonly #world: World
  readonly #handout: Handout
  readonly #wants: Wants[]
  readonly #flows: Flow[][]
  /** Of each sender, whose turn it is; and whether a piece is on the link. */
  readonly #turn: number[]
  readonly #sending: boolean[]
  readonly #dead = new Set<number>()
  #sent = 0
  #wasted = 0
  #endMs = 0
  #left: number

  constructor(init: SpreadInit) {
    const { chunks, upload, seed } = init
    this.#world = new World(seed)
    const random = () => this.#world.between(0, 1)
    this.#init = init
    this.#left = upload.length - 1
    this.#handout = new Handout(chunks, { random, patienceMs: LIMITS.TREE_PATIENCE_MS })
    const wanted = { random, lateMs: LIMITS.TREE_LATE_MS, asksMax: W }
    this.#wants = upload.map(() => new Wants(new Bitmap(chunks), wanted))
    this.#turn = upload.map(() => 0)
    this.#sending = upload.map(() => false)
    const linked = init.linked ?? (() => true)
    this.#flows = upload.map((_, from) =>
      upload.flatMap((_, to) =>
        to === SOURCE || to === from || (from !== SOURCE && !linked(from, to))
          ? []
          : [{ from, to, asks: [], any: from === SOURCE ? W : 0, now: null, beganMs: 0 }],
      ),
    )
  }

  run(): Spread {
    const { chunks, upload, death } = this.#init
    for (let to = 1; to < upload.length; to++) {
      this.#handout.join(String(to), new Bitmap(chunks), 0)
      this.#wants[to]?.join(String(SOURCE), Bitmap.all(chunks))
      for (let from = 1; from < upload.length; from++) this.#wants[to]?.join(String(from), new Bitmap(chunks))
    }
    this.#push(SOURCE)
    this.#world.after(TICK_MS, () => this.#tick())
    if (death !== undefined) this.#world.after(death.atMs, () => this.#die(death.asker))
    this.#world.run(END_MS, () => this.#left === 0)
    const size = chunks * LIMITS.TREE_CHUNK_BYTES
    const endMs = this.#left > 0 ? Number.POSITIVE_INFINITY : this.#endMs
    return { copies: this.#sent / size, wasted: (this.#wasted * LIMITS.TREE_CHUNK_BYTES) / size, endMs }
  }

  /** To the other side, if neither is dead by then. */
  #tell(a: number, b: number, act: () => void): void {
    this.#world.after(this.#init.latencyMs, () => {
      if (!this.#dead.has(a) && !this.#dead.has(b)) act()
    })
  }

  #tick(): void {
    for (const flow of this.#flows.flat()) this.#ask(flow)
    this.#push(SOURCE)
    this.#world.after(TICK_MS, () => this.#tick())
  }

  /** A piece of the next flow in turn that has something to give. */
  #push(from: number): void {
    const flows = this.#flows[from] ?? []
    if (this.#sending[from] || this.#dead.has(from)) return
    for (let tried = 0; tried < flows.length; tried++) {
      const turn = (this.#turn[from] ?? 0) % flows.length
      this.#turn[from] = turn + 1
      const flow = flows[turn]
      if (flow === undefined || this.#dead.has(flow.to)) continue
      flow.now ??= this.#choose(flow)
      if (flow.now === null) continue
      this.#send(flow, flow.now)
      return
    }
  }

  #choose(flow: Flow): Flow['now'] {
    flow.beganMs = this.#world.now
    const ask = flow.asks.shift()
    if (ask !== undefined) return { chunk: ask, left: LIMITS.TREE_CHUNK_BYTES }
    const choice = flow.any > 0 ? this.#handout.choose(String(flow.to), this.#world.now) : null
    if (choice === null || !('chunk' in choice)) return null
    flow.any -= 1
    this.#tell(flow.from, flow.to, () => this.#wants[flow.to]?.asked(String(flow.from), choice.chunk, this.#world.now))
    return { chunk: choice.chunk, left: LIMITS.TREE_CHUNK_BYTES }
  }

  #send(flow: Flow, going: { chunk: number; left: number }): void {
    this.#sending[flow.from] = true
    const bytes = Math.min(going.left, LIMITS.TREE_PIECE_BYTES)
    this.#world.after(bytes / (this.#init.upload[flow.from] ?? 1), () => {
      this.#sending[flow.from] = false
      if (flow.from === SOURCE) this.#sent += bytes
      going.left -= bytes
      if (going.left === 0) {
        flow.now = null
        if (flow.from === SOURCE) this.#handout.given(going.chunk, this.#world.now, this.#world.now - flow.beganMs)
        this.#tell(flow.from, flow.to, () => this.#arrive(flow, going.chunk))
      }
      this.#push(flow.from)
    })
  }

  #arrive(flow: Flow, chunk: number): void {
    const { to, from } = flow
    const wants = this.#wants[to]
    if (wants === undefined) return
    if (from === SOURCE) this.#tell(to, from, () => this.#credit(flow))
    if (wants.held.has(chunk)) this.#wasted += 1
    else {
      for (const owing of wants.arrived(String(from), chunk, this.#world.now)) this.#drop(Number(owing), to, chunk)
      for (const told of this.#flows[to] ?? []) this.#tell(to, told.to, () => this.#gained(told, chunk))
      if (wants.held.full) this.#done()
    }
    this.#ask(flow)
  }

  #gained(flow: Flow, chunk: number): void {
    this.#wants[flow.to]?.gained(String(flow.from), chunk)
    this.#ask(flow)
  }

  #credit(flow: Flow): void {
    flow.any += 1
    this.#push(flow.from)
  }

  #drop(from: number, to: number, chunk: number): void {
    this.#tell(to, from, () => {
      const flow = this.#flows[from]?.find((one) => one.to === to)
      if (flow !== undefined) flow.asks = flow.asks.filter((ask) => ask !== chunk)
    })
  }

  #ask(flow: Flow): void {
    const { from, to } = flow
    const wants = this.#wants[to]
    if (wants === undefined || this.#dead.has(from) || this.#dead.has(to)) return
    while (flow.asks.length + Number(flow.now !== null) < W) {
      const chunk = wants.next(String(from), this.#world.now, { chooses: from === SOURCE })
      if (chunk === undefined) return
      flow.asks.push(chunk)
      this.#tell(to, SOURCE, () => this.#handout.taken(String(to), chunk, this.#world.now))
      this.#tell(to, from, () => this.#push(from))
    }
  }

  #die(asker: number): void {
    this.#dead.add(asker)
    if (this.#wants[asker]?.held.full !== true) this.#done()
    this.#handout.leave(String(asker), this.#world.now)
    for (const [to, wants] of this.#wants.entries()) {
      for (const chunk of wants.leave(String(asker))) {
        this.#tell(to, SOURCE, () => this.#handout.lost(String(to), chunk))
      }
    }
    this.#push(SOURCE)
  }

  #done(): void {
    this.#left -= 1
    this.#endMs = this.#world.now
  }
}
