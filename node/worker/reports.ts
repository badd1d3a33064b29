/** What units left beside their ends, from the sandbox that tells it to the frame it goes in. */

import { arch, release, type } from 'node:os'
import { LIMITS } from '../../protocol/limits.ts'
import type { UnitReport } from '../../protocol/report.ts'
import type { UnitReport as Told } from '../runtimes/runtime.ts'

const SYSTEM_MAX_CHARS = 100

/** Of this machine. */
export const SYSTEM = `${type()} ${release()} ${arch()}`.slice(0, SYSTEM_MAX_CHARS)

/** Of one sandbox: whichever job has it takes what its own units left. */
export class Reports {
  readonly #told = new Map<number, Told>()

  add(report: Told): void {
    this.#told.set(report.unit, report)
  }

  /** What is left of units that were cut off is nobody's. */
  clear(): void {
    this.#told.clear()
  }

  /** All of them, as they are sent, by unit; undefined: there are none. */
  take(runtime: string): Map<number, UnitReport> | undefined {
    if (this.#told.size === 0) return undefined
    const reports = new Map([...this.#told].map(([unit, told]) => [unit, toWire(told, runtime)]))
    this.#told.clear()
    return reports
  }
}

function toWire({ stdout, stderr, ...told }: Told, runtime: string): UnitReport {
  return { ...told, stdout: lastOf(stdout), stderr: lastOf(stderr), runtime, system: SYSTEM }
}

/** Whole characters, and only such as UTF-8 can say. */
function lastOf(text: string): string {
  const bytes = Buffer.from(text)
  let from = Math.max(0, bytes.length - LIMITS.REPORT_TEXT_MAX_BYTES)
  while (((bytes[from] ?? 0) & 0xc0) === 0x80) from += 1
  return bytes.toString('utf8', from)
}
