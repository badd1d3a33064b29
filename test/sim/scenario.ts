/** What one seed is about: the job, the peers, and what goes wrong. */

import { LIMITS } from '../../protocol/limits.ts'
import { type Policy, policySchema } from '../../protocol/manifest.ts'
import type { World } from './world.ts'

export type PeerTraits = {
  id: string
  trust: 'member' | 'stranger'
  slots: number
  /** Units run this many times faster than the slowest peer runs them. */
  speed: number
  latencyMs: number
  /** Probability that a value is a lie, and that such a lie is the one all liars tell; else it is of its own making. */
  lies: number
  plots: number
  /** It lies only after so many results. */
  liesAfter: number
  /** Probability that an attempt fails by the machine. */
  faulty: number
  /** Says that the program failed, of units that others run well. */
  slanders: number
  room: 'a' | 'b'
  /** Its answer to a job at first. */
  refuses: 'never' | 'busy' | 'always'
  /** When it is switched off for good, milliseconds; Infinity: never. */
  goneAt: number
}

export type Scenario = {
  units: number
  /** The time a unit takes on the slowest peer, milliseconds. */
  unitMs: number
  policy: Policy
  peers: PeerTraits[]
  /** Mean time between two faults of one peer, milliseconds. */
  faultEveryMs: number
  /** When the job is submitted. */
  startAt: number
  /** After this nothing goes wrong any more. */
  healedAt: number
  /** After this the job must have been decided. */
  endAt: number
  submitterRestarts: number
  duplicates: number
  /** Units save their state while they run. */
  saves: boolean
  program: { failsOn(unit: number): boolean }
}

export type ScenarioLimits = { peers: number; units: number }

export function drawScenario(world: World, limits: ScenarioLimits): Scenario {
  const verified = world.chance(0.75)
  const crooks = verified ? Math.min(world.int(0, 3), Math.max(0, limits.peers - 3)) : 0
  const agree = verified ? world.int(2, Math.min(3, limits.peers - crooks)) : 1
  const unitMs = world.pick([0.5, 50, 500, 2_000, 10_000, 30_000])
  const healedAt = world.between(10_000, 40_000)
  const failing = world.chance(0.3)
  const policy = policySchema.parse({
    require: limits.peers >= 40 && world.chance(0.3) ? 'peer.labels.room == "a"' : '',
    rank: world.chance(0.3) ? 'peer.speed' : '',
    // So many that honest peers can always outvote the crooks.
    verify: verified ? { kind: 'quorum', agree, of: agree + crooks + (failing ? 1 : 0) } : { kind: 'none' },
    agree: verified
      ? world.pick([{ kind: 'exact' }, { kind: 'exact' }, { kind: 'tolerance', relative: 1e-6 }, { kind: 'function' }])
      : { kind: 'exact' },
    // In a large mesh each of the few faulty machines gets a unit once; in a small one, now and then again.
    retries: limits.peers >= 40 ? 3 : LIMITS.RETRIES_MAX,
    timeoutMs: 60_000,
  })
  const peers = Array.from({ length: limits.peers }, (_, index) => drawPeer(world, index, crooks, limits.peers))
  const units = world.int(1, limits.units)
  // What the weakest of those that are sure to stay needs for all of it.
  const slowest = Math.min(...peers.slice(-PILLARS).map(({ slots, speed }) => slots * speed))
  return {
    units,
    unitMs,
    policy,
    peers,
    faultEveryMs: world.logBetween(300, 30_000),
    startAt: world.between(0, 1_000),
    healedAt,
    endAt: healedAt + 300_000 + (3 * units * unitMs) / slowest,
    submitterRestarts: world.chance(0.4) ? world.int(1, 2) : 0,
    duplicates: world.pick([0, 0.02, 0.2]),
    saves: false,
    program: { failsOn: (unit) => failing && unit % 17 === 3 },
  }
}

/** The last peers are honest, sound and stay: as many as may have to agree, so that every job can end. */
const PILLARS = 3

/** The first peers are the crooks; of the rest, a few are machines that fail, and some leave for good. */
function drawPeer(world: World, index: number, crooks: number, peers: number): PeerTraits {
  const crook = index < crooks
  const pillar = index >= peers - PILLARS
  const faulty = !pillar && index >= crooks && index < crooks + 3
  return {
    id: `peer-${index}`,
    trust: 'member',
    slots: world.int(1, 3),
    speed: world.logBetween(1, 20),
    latencyMs: world.logBetween(0.2, 100),
    lies: crook ? world.between(0.1, 1) : 0,
    plots: 0,
    liesAfter: 0,
    slanders: crook && index === 0 ? world.between(0, 0.5) : 0,
    faulty: faulty ? world.between(0.1, 1) : 0,
    room: world.chance(0.5) ? 'a' : 'b',
    refuses: world.chance(0.9) ? 'never' : pillar ? 'busy' : world.pick(['busy', 'always'] as const),
    goneAt: !pillar && world.chance(0.2) ? world.between(0, 20_000) : Number.POSITIVE_INFINITY,
  }
}
