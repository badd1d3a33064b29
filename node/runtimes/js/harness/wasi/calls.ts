/**
 * WASI calls that would tell one machine from another, or that the shim leaves out: clocks of the program's own, seeded
 * random bytes, sleeping that ends at once.
 */

import { type WASI, WASIProcExit, wasi } from '@bjorn3/browser_wasi_shim'
import { SIGNAL_EXIT_BASE } from '../../../exit-codes.ts'
import { Failure } from '../failure.ts'
import type { Memory } from '../instance.ts'

export type WasiCalls = WASI['wasiImport']

type Init = { args: readonly string[]; random: () => number; memory: Memory }

const SUBSCRIPTION_BYTES = 48
const EVENT_BYTES = 32
/** By how much a clock moves on when it is looked at; sleeping moves it on as well. */
const TICK_NS = 1_000n
/** As many as are ever waited for; a list of them takes memory that no limit of the module covers. */
const SUBSCRIPTIONS_MAX = 1_024

export function ownCalls({ args, random, memory }: Init): WasiCalls {
  // Both clocks begin at the epoch. Go does not start at a clock that stands still.
  let nowNs = 0n
  const view = (): DataView => {
    const { buffer, byteOffset, byteLength } = memory.bytes()
    return new DataView(buffer, byteOffset, byteLength)
  }

  /** Whatever is ready comes at once; else the clock that rings first, and it is that late. */
  function poll(from: number, to: number, count: number, counted: number): number {
    if (count === 0 || count > SUBSCRIPTIONS_MAX) return wasi.ERRNO_INVAL
    const out = view()
    const all = Array.from({ length: count }, (_, i) =>
      wasi.Subscription.read_bytes(out, from + i * SUBSCRIPTION_BYTES),
    )
    const ready = all.filter(({ eventtype }) => eventtype !== wasi.EVENTTYPE_CLOCK)
    if (ready.length === 0) {
      const rings = all.map((clock) => {
        const absolute = (clock.flags & wasi.SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME) !== 0
        return { clock, at: absolute ? clock.timeout : nowNs + clock.timeout }
      })
      const first = rings.reduce((a, b) => (b.at < a.at ? b : a))
      if (first.at > nowNs) nowNs = BigInt.asUintN(64, first.at)
      ready.push(...rings.filter(({ at }) => at <= nowNs).map(({ clock }) => clock))
    }
    for (const [i, { userdata, eventtype }] of ready.entries()) {
      const at = to + i * EVENT_BYTES
      memory.bytes().fill(0, at, at + EVENT_BYTES)
      new wasi.Event(userdata, wasi.ERRNO_SUCCESS, eventtype).write_bytes(out, at)
    }
    out.setUint32(counted, ready.length, true)
    return wasi.ERRNO_SUCCESS
  }

  const noSockets = (): number => wasi.ERRNO_NOTSUP
  return {
    // The shim counts characters where bytes are written.
    args_sizes_get(count: number, bytes: number): number {
      const encoder = new TextEncoder()
      view().setUint32(count, args.length, true)
      const total = args.reduce((sum, arg) => sum + encoder.encode(arg).length + 1, 0)
      view().setUint32(bytes, total, true)
      return wasi.ERRNO_SUCCESS
    },
    clock_res_get(_clock: number, at: number): number {
      view().setBigUint64(at, TICK_NS, true)
      return wasi.ERRNO_SUCCESS
    },
    clock_time_get(_clock: number, _precision: bigint, at: number): number {
      nowNs += TICK_NS
      view().setBigUint64(at, nowNs, true)
      return wasi.ERRNO_SUCCESS
    },
    poll_oneoff: poll,
    random_get(at: number, length: number): number {
      const bytes = memory.bytes()
      const end = (at >>> 0) + (length >>> 0)
      if (end > bytes.length) return wasi.ERRNO_FAULT
      for (let i = at >>> 0; i < end; i++) bytes[i] = random() * 256
      return wasi.ERRNO_SUCCESS
    },
    sched_yield: () => wasi.ERRNO_SUCCESS,
    proc_raise(signal: number): never {
      throw new WASIProcExit(SIGNAL_EXIT_BASE + signal)
    },
    sock_accept: noSockets,
    sock_recv: noSockets,
    sock_send: noSockets,
    sock_shutdown: noSockets,
  }
}

/** Takes what a program writes: all of it, or the last of it. */
export class Written {
  readonly #bound: { failsBeyond: number } | { keepsLast: number }
  #parts: Uint8Array[] = []
  #bytes = 0

  constructor(bound: { failsBeyond: number } | { keepsLast: number }) {
    this.#bound = bound
  }

  /** @throws Failure E_RESULT_TOO_BIG */
  readonly add = (part: Uint8Array): void => {
    this.#parts.push(part)
    this.#bytes += part.length
    if ('failsBeyond' in this.#bound) {
      if (this.#bytes <= this.#bound.failsBeyond) return
      throw new Failure('E_RESULT_TOO_BIG', `it wrote more than ${this.#bound.failsBeyond} bytes`)
    }
    // Joined now and then only: one part may be a single character.
    if (this.#bytes > 2 * this.#bound.keepsLast) {
      this.#parts = [this.bytes().slice(-this.#bound.keepsLast)]
      this.#bytes = this.#bound.keepsLast
    }
  }

  bytes(): Uint8Array {
    const all = new Uint8Array(this.#bytes)
    let at = 0
    for (const part of this.#parts) {
      all.set(part, at)
      at += part.length
    }
    return 'keepsLast' in this.#bound ? all.subarray(-this.#bound.keepsLast) : all
  }
}
