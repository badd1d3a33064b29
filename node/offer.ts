/** What this machine can give: proved by running a unit at start, told as it stands. */

import { statfsSync } from 'node:fs'
import { arch, platform } from 'node:os'
import type { Ad } from '../protocol/ad.ts'
import { TalkootError } from '../protocol/errors.ts'
import { LIMITS } from '../protocol/limits.ts'
import { type RuntimeKind, runtimeKinds } from '../protocol/runtime-kinds.ts'
import { VERSION } from '../protocol/version.ts'
import type { Settings } from './config.ts'
import type { Confinement, RuntimeProbe } from './runtimes/runtime.ts'
import type { Runtimes } from './runtimes/runtimes.ts'
import { measureSpeed } from './worker/benchmark.ts'

/** The part of an ad that is about the machine, not about the mesh. */
export type MachineAd = Omit<Ad, 'v' | 'peer' | 'mesh' | 'seq' | 'ttlMs' | 'reach' | 'addresses'>

type Components = { runtimes: Runtimes; now(): number }
type Init = { settings: Settings; stateFolder: string }

/** What takes long to prove. */
const SLOW: readonly RuntimeKind[] = ['python', 'container']

export class Offer {
  /** What the owner should know. */
  readonly warnings: string[] = []
  readonly #components: Components
  readonly #init: Init
  readonly #proved = new Map<RuntimeKind, RuntimeProbe>()
  #speed = 1

  constructor(components: Components, init: Init) {
    this.#components = components
    this.#init = init
  }

  /**
   * Tries what runs units. Without a runtime that works the node still joins, submits and says why it runs nothing. `complete`
   * settles once everything was tried.
   */
  async prove(): Promise<{ complete: Promise<void> }> {
    const { settings } = this.#init
    const soon = AbortSignal.timeout(LIMITS.PROBE_TIMEOUT_MS)
    await this.#prove('js', soon, 'no units can be run here')
    for (const kind of runtimeKinds) if (kind !== 'js' && !SLOW.includes(kind)) await this.#prove(kind, soon)
    const slow: Promise<void>[] = []
    if (settings.python !== 'nobody') {
      // The first time, its snapshot is made.
      const late = AbortSignal.timeout(LIMITS.PYTHON_SNAPSHOT_TIMEOUT_MS)
      slow.push(this.#prove('python', late, 'Python is not offered'))
    }
    // An image is unpacked and run.
    if (settings.containers && this.slots > 0) {
      slow.push(this.#prove('container', AbortSignal.timeout(LIMITS.PROBE_TIMEOUT_MS)))
    }
    return { complete: Promise.all(slow).then(() => undefined) }
  }

  /** Units at once; 0 when no runtime works here. */
  get slots(): number {
    return this.#proved.has('js') ? this.#init.settings.cpus : 0
  }

  /** How what is sandboxed is confined here; null: nothing is run. */
  get confinement(): Confinement | null {
    return this.#proved.get('js')?.confinement ?? null
  }

  /** Of the runtime of a kind; empty: it is not offered. */
  versionOf(kind: RuntimeKind): string {
    return this.#proved.get(kind)?.version ?? ''
  }

  describe(busySlots: number, paused: Ad['paused']): MachineAd {
    const { settings, stateFolder } = this.#init
    return {
      name: settings.name,
      version: VERSION,
      os: platform(),
      arch: arch(),
      cpus: this.slots,
      memory: settings.memoryMiB * 2 ** 20,
      disk: Math.min(settings.diskMiB * 2 ** 20, freeBytes(stateFolder)),
      speed: this.#speed,
      freeSlots: paused === null ? Math.max(0, this.slots - busySlots) : 0,
      paused,
      runtimes: [...this.#proved.values()].map(({ kind, version, confinement }) => ({ kind, version, confinement })),
      labels: settings.labels,
      strangers: this.confinement === 'os' || settings.strangersWithoutOsSandbox,
    }
  }

  /** What does not work here is not offered; where no loss is named, `doctor` alone says why. */
  async #prove(kind: RuntimeKind, signal: AbortSignal, loss?: string): Promise<void> {
    const { runtimes, now } = this.#components
    try {
      const runtime = runtimes.of(kind)
      const probe = await runtime.probe(signal)
      if (kind === 'js') {
        this.#speed = await measureSpeed(runtime, now, signal)
        if (probe.warning !== undefined) this.warnings.push(probe.warning)
      }
      this.#proved.set(kind, probe)
    } catch (thrown) {
      const { code, message, hint } = TalkootError.from(thrown, 'E_RUNTIME_MISSING')
      if (loss !== undefined) this.warnings.push(`${code}: ${loss}: ${message}; ${hint}`)
    }
  }
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}
