/**
 * How much service each of several flows has had for its weight, as one number each, its tag: who is lowest is next.
 *
 * Start-time fair queueing (P. Goyal, H. M. Vin, H. Cheng, "Start-time Fair Queueing", IEEE/ACM Transactions on
 * Networking 5(5), 1997) for several servers (W. Jin, J. S. Chase, J. Kaur, "Interposed Proportional Sharing for a
 * Storage Service Utility", SIGMETRICS 2004). It never needs the length of a request beforehand, which nobody knows of
 * a unit: a tag grows by the time used, divided by the weight, while it is used. A flow that comes, or comes back,
 * starts at the tag of those in service, so that nobody saves up service by staying away.
 */

import { LIMITS } from '../../protocol/limits.ts'

type Flow = {
  weight: number
  /** Milliseconds of service per weight, as of `at`. */
  tag: number
  at: number
  /** Servers it holds now. */
  rate: number
  waits: boolean
}

/** Flows at rest that are remembered beyond those that wait or run. */
const RESTING_KEPT = 256

export class VirtualTime<Key> {
  readonly #flows = new Map<Key, Flow>()
  /** The tag of the last flow served, never falling: where newcomers start. */
  #time = 0

  /** The flows that wait for service now, with their weights; all others do not. */
  demand(waiting: ReadonlyMap<Key, number>, now: number): void {
    for (const [key, flow] of this.#flows) if (!waiting.has(key)) flow.waits = false
    if (this.#flows.size > waiting.size + RESTING_KEPT) this.#forget()
    if (![...this.#flows.values()].some(({ waits, rate }) => waits || rate > 0)) this.#beginAnew(now)
    for (const [key, weight] of waiting) this.#join(key, weight, now)
  }

  /** Service used so far per weight, milliseconds. Of a flow never seen: where it would start. */
  tagOf(key: Key, now: number): number {
    const flow = this.#flows.get(key)
    return flow === undefined ? this.#time : tagAt(flow, now)
  }

  /** Servers the flow holds. */
  rateOf(key: Key): number {
    return this.#flows.get(key)?.rate ?? 0
  }

  /** The flow holds `rate` further servers from now on. */
  begin(key: Key, rate: number, now: number): void {
    let lowest = this.tagOf(key, now)
    for (const flow of this.#flows.values()) if (flow.waits) lowest = Math.min(lowest, tagAt(flow, now))
    this.#time = Math.max(this.#time, lowest)
    this.#change(key, rate, now)
  }

  end(key: Key, rate: number, now: number): void {
    this.#change(key, -rate, now)
  }

  get size(): number {
    return this.#flows.size
  }

  #change(key: Key, rate: number, now: number): void {
    const flow = this.#flows.get(key)
    if (flow === undefined) throw new RangeError('a flow that never waited cannot be served')
    settle(flow, now)
    // Sums of fractions do not come back to zero by themselves.
    flow.rate = Math.max(0, Math.round((flow.rate + rate) * 1e6) / 1e6)
  }

  #join(key: Key, weight: number, now: number): void {
    const flow = this.#flows.get(key) ?? { weight, tag: this.#time, at: now, rate: 0, waits: true }
    this.#flows.set(key, flow)
    settle(flow, now)
    flow.weight = weight
    // Whose next units are a moment late keeps its place; of a longer absence only so much is made good.
    if (!flow.waits) flow.tag = Math.max(flow.tag, this.#time - LIMITS.SHARE_CREDIT_MS / weight)
    flow.waits = true
  }

  /** After a moment in which nobody wanted anything, nobody owes anything. */
  #beginAnew(now: number): void {
    for (const flow of this.#flows.values()) this.#time = Math.max(this.#time, tagAt(flow, now))
    this.#flows.clear()
  }

  /** Those furthest behind first: they lose least by being taken for newcomers. */
  #forget(): void {
    const resting = [...this.#flows].filter(([, { waits, rate }]) => !waits && rate === 0)
    resting.sort(([, a], [, b]) => a.tag - b.tag)
    for (const [key] of resting.slice(0, Math.max(0, resting.length - RESTING_KEPT / 2))) this.#flows.delete(key)
  }
}

const tagAt = (flow: Flow, now: number): number => flow.tag + ((now - flow.at) * flow.rate) / flow.weight

function settle(flow: Flow, now: number): void {
  flow.tag = tagAt(flow, now)
  flow.at = now
}
