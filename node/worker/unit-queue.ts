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

  take(count: number): UnitInput[] {
    const taken = this.#units.splice(0, count)
    this.#bytes -= bytesOf(taken)
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
