/** What this machine can give: proved by running a unit at start, told as it stands. */

import { statfsSync } from 'node:fs'
import { arch, platform } from 'node:os'
import type { Ad } from '../protocol/ad.ts'
import { TalkootError } from '../protocol/errors.ts'
import { LIMITS } from '../protocol/limits.ts'
import { VERSION } from '../protocol/version.ts'
import type { Settings } from './config.ts'
import type { RuntimeProbe } from './runtimes/runtime.ts'
import type { Runtimes } from './runtimes/runtimes.ts'
import { measureSpeed } from './worker/benchmark.ts'

/** The part of an ad that is about the machine, not about the mesh. */
export type MachineAd = Omit<Ad, 'v' | 'peer' | 'mesh' | 'seq' | 'ttlMs' | 'reach' | 'addresses'>

export type Offer = {
  /** Units at once; 0 when no runtime works here. */
  slots: number
  probe: RuntimeProbe | null
  /** Why programs are not run here; null: they are. */
  commandsFault: string | null
  /** What the owner should know. */
  warnings: string[]
  describe(busySlots: number, paused: Ad['paused']): MachineAd
}

/** Without a runtime that works the node still joins, submits and says why it runs nothing. */
export async function probeOffer(runtimes: Runtimes, settings: Settings, stateFolder: string): Promise<Offer> {
  const signal = AbortSignal.timeout(LIMITS.PROBE_TIMEOUT_MS)
  const warnings: string[] = []
  let probe: RuntimeProbe | null = null
  let command: RuntimeProbe | null = null
  let commandsFault: string | null = null
  let speed = 1
  try {
    const js = runtimes.of('js')
    probe = await js.probe(signal)
    speed = await measureSpeed(js, () => performance.now(), signal)
    if (probe.warning !== undefined) warnings.push(probe.warning)
  } catch (thrown) {
    const { code, message, hint } = TalkootError.from(thrown, 'E_RUNTIME_MISSING')
    warnings.push(`${code}: no units can be run here: ${message}; ${hint}`)
  }
  try {
    command = await runtimes.of('command').probe(signal)
  } catch (thrown) {
    const { code, message } = TalkootError.from(thrown, 'E_NATIVE_PLATFORM')
    commandsFault = `${code}: ${message}`
  }
  const slots = probe === null ? 0 : settings.cpus
  return { slots, probe, commandsFault, warnings, describe: (busy, paused) => describe(busy, paused) }

  function describe(busySlots: number, paused: Ad['paused']): MachineAd {
    return {
      name: settings.name,
      version: VERSION,
      os: platform(),
      arch: arch(),
      cpus: slots,
      memory: settings.memoryMiB * 2 ** 20,
      disk: Math.min(settings.diskMiB * 2 ** 20, freeBytes(stateFolder)),
      speed,
      freeSlots: paused === null ? Math.max(0, slots - busySlots) : 0,
      paused,
      runtimes: [probe, command].flatMap((of) =>
        of === null ? [] : [{ kind: of.kind, version: of.version, confinement: of.confinement }],
      ),
      labels: settings.labels,
      strangers: probe?.confinement === 'os' || settings.strangersWithoutOsSandbox,
    }
  }
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}
