/** Units of one job that wait for a slot, first come first served, with the bytes of their parameters. */

import type { UnitInput } from '../runtimes/runtime.ts'

export class UnitQueue {
  #units: UnitInput[] = []
  #bytes = 0

  get length(): number {
    return this.#units.length
  }

  get bytes(): number {
    return this.#bytes
  }

  push(...units: UnitInput[]): void {
    this.#units.push(...units)
    this.#bytes += bytesOf(units)
  }

  /** Units that were taken and have not run: first again. */
  putBack(units: readonly UnitInput[]): void {
    this.#units.unshift(...units)
    this.#bytes += bytesOf(units)
  }

  /** In order, and to be looked at only. */
  get waiting(): readonly UnitInput[] {
    return this.#units
  }

  /** The first of those that may go. */
  take(count: number, may?: (unit: UnitInput) => boolean): UnitInput[] {
    if (may !== undefined) return this.#takeSome(count, may)
    const taken = this.#units.splice(0, count)
    this.#bytes -= bytesOf(taken)
    return taken
  }

  #takeSome(count: number, may: (unit: UnitInput) => boolean): UnitInput[] {
    const taken = this.#units.filter(may).slice(0, count)
    this.remove(new Set(taken.map(({ unit }) => unit)))
    return taken
  }

  takeAll(): UnitInput[] {
    return this.take(this.#units.length)
  }

  remove(unwanted: ReadonlySet<number>): void {
    this.push(...this.takeAll().filter(({ unit }) => !unwanted.has(unit)))
  }
}

export function bytesOf(units: readonly UnitInput[]): number {
  let bytes = 0
  for (const { params } of units) bytes += Buffer.byteLength(params)
  return bytes
}
