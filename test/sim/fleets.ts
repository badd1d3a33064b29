/** Fleets drawn from a seed: the machines and units of each kind of day. */

import type { Fleet } from './fleet.ts'
import { leastMakespan } from './optimum.ts'
import type { World } from './world.ts'

export type Times = 'constant' | 'uniform' | 'bimodal' | 'heavy'

/** Work of `count` units of about `meanMs`. */
export function drawWorks(world: World, times: Times, count: number, meanMs: number): number[] {
  const one: Record<Times, () => number> = {
    constant: () => meanMs,
    uniform: () => world.between(0.5, 1.5) * meanMs,
    // One in ten takes ten times as long as the others.
    bimodal: () => (world.chance(0.1) ? 10 : 1) * (meanMs / 1.9),
    // Pareto with shape 1.5: a finite mean, no variance; cut at a hundred times the mean.
    heavy: () => Math.min(100, (1 / 3) * (1 - world.between(0, 1)) ** (-1 / 1.5)) * meanMs,
  }
  return Array.from({ length: count }, one[times])
}

const machineOf = (world: World, slots: number, speed: number) => ({
  slots,
  speeds: [{ at: 0, speed }],
  latencyMs: world.logBetween(0.2, 50),
  advertised: speed,
})

/** Four workers: two sound, one ten times slower, one that stalls somewhere in the job but says that it lives. */
export function drawStalling(world: World, times: Times, agree: number): Fleet {
  const slots = world.int(1, 4)
  const meanMs = world.logBetween(50, 2_000)
  const works = drawWorks(world, times, slots * world.int(100, 300), meanMs)
  const [a, b, c, slow] = [1, 1, 1, 0.1].map((speed) => machineOf(world, slots, speed))
  if (a === undefined || b === undefined || c === undefined || slow === undefined) throw new RangeError('four machines')
  const wholeMs = leastMakespan([a, b, c, slow], works, agree)
  const stallsAt = wholeMs * world.between(0.05, 0.9)
  const stalling = { ...c, speeds: [...c.speeds, { at: stallsAt, speed: 0 }] }
  return { machines: [a, b, slow, stalling], works, agree }
}

/** Speeds from 1 to 20, evenly over the orders of magnitude. */
export function drawMixed(world: World, times: Times, agree: number): Fleet {
  const machines = Array.from({ length: world.int(4, 12) }, () =>
    machineOf(world, world.int(1, 4), world.logBetween(1, 20)),
  )
  const slots = machines.reduce((sum, machine) => sum + machine.slots, 0)
  const works = drawWorks(world, times, slots * world.int(100, 300), world.logBetween(500, 10_000))
  return { machines, works, agree }
}

/** Half of the machines become two to twenty times slower in mid-job. */
export function drawSlowing(world: World, times: Times, agree: number): Fleet {
  const fleet = drawMixed(world, times, agree)
  const wholeMs = leastMakespan(fleet.machines, fleet.works, agree)
  const machines = fleet.machines.map((machine, i) => {
    const speed = machine.speeds[0]?.speed ?? 1
    if (i % 2 === 0) return machine
    const slower = { at: wholeMs * world.between(0.1, 0.9), speed: speed / world.logBetween(2, 20) }
    return { ...machine, speeds: [{ at: 0, speed }, slower] }
  })
  return { ...fleet, machines }
}
