/** What this machine can give: proved by running a unit at start, told as it stands. */

import { statfsSync } from 'node:fs'
import { arch, platform } from 'node:os'
import type { Ad } from '../protocol/ad.ts'
import { TalkootError } from '../protocol/errors.ts'
import { LIMITS } from '../protocol/limits.ts'
import { type RuntimeKind, runtimeKinds } from '../protocol/runtime-kinds.ts'
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
  /** How what is sandboxed is confined here; null: nothing is run. */
  probe: RuntimeProbe | null
  /** What the owner should know. */
  warnings: string[]
  /** Settled once everything was tried: what takes long to prove is told when it is proved. */
  complete: Promise<void>
  /** Of the runtime of a kind; empty: it is not offered. */
  versionOf(kind: RuntimeKind): string
  describe(busySlots: number, paused: Ad['paused']): MachineAd
}

/** Without a runtime that works the node still joins, submits and says why it runs nothing. */
export async function probeOffer(runtimes: Runtimes, settings: Settings, stateFolder: string): Promise<Offer> {
  const signal = AbortSignal.timeout(LIMITS.PROBE_TIMEOUT_MS)
  const warnings: string[] = []
  const proved = new Map<RuntimeKind, RuntimeProbe>()
  let speed = 1
  try {
    const js = runtimes.of('js')
    const probe = await js.probe(signal)
    speed = await measureSpeed(js, () => performance.now(), signal)
    if (probe.warning !== undefined) warnings.push(probe.warning)
    proved.set('js', probe)
  } catch (thrown) {
    const { code, message, hint } = TalkootError.from(thrown, 'E_RUNTIME_MISSING')
    warnings.push(`${code}: no units can be run here: ${message}; ${hint}`)
  }
  // Programs and containers that do not work here are not offered; `doctor` says why.
  const prove = (
    kind: RuntimeKind,
    within: AbortSignal,
    onFault: (error: TalkootError) => void = () => undefined,
  ): Promise<void> =>
    runtimes
      .of(kind)
      .probe(within)
      .then(
        (probe) => void proved.set(kind, probe),
        (thrown) => onFault(TalkootError.from(thrown, 'E_RUNTIME_MISSING')),
      )
  const provePython = (): Promise<void> =>
    prove('python', AbortSignal.timeout(LIMITS.PYTHON_SNAPSHOT_TIMEOUT_MS), ({ code, message, hint }) => {
      warnings.push(`${code}: Python is not offered: ${message}; ${hint}`)
    })
  const probe = proved.get('js') ?? null
  const slots = probe === null ? 0 : settings.cpus
  const atOnce = runtimeKinds.filter((kind) => !['js', 'python', 'container'].includes(kind))
  for (const kind of atOnce) await prove(kind, signal)
  // The first time, the snapshot of Python is made; an image is unpacked and run each time.
  const complete = Promise.all([
    settings.python === 'nobody' ? null : provePython(),
    settings.containers && slots > 0 ? prove('container', AbortSignal.timeout(LIMITS.PROBE_TIMEOUT_MS)) : null,
  ]).then(() => undefined)
  return {
    slots,
    probe,
    warnings,
    complete,
    versionOf: (kind) => proved.get(kind)?.version ?? '',
    describe: (busy, paused) => describe(busy, paused),
  }

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
      runtimes: [...proved.values()].map(({ kind, version, confinement }) => ({ kind, version, confinement })),
      labels: settings.labels,
      strangers: probe?.confinement === 'os' || settings.strangersWithoutOsSandbox,
    }
  }
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}
