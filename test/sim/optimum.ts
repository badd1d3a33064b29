/**
 * How soon a job could end at best, were everything known beforehand: the work of each unit, each machine's speed at
 * each moment, no latency, no overhead. No schedule ends sooner, so a makespan within x of it is within x of the
 * offline optimum.
 */

export type Machine = {
  slots: number
  /** From `at` milliseconds on, a slot does `speed` milliseconds of work each millisecond; ascending, the first at 0. */
  speeds: readonly { at: number; speed: number }[]
}

/** When a slot that begins `work` at `from` is done with it; Infinity: never. */
export function endOf({ speeds }: Machine, from: number, work: number): number {
  let left = work
  for (let i = 0; i < speeds.length; i++) {
    const [{ speed } = { speed: 0 }, until] = [speeds[i], speeds[i + 1]?.at ?? Number.POSITIVE_INFINITY]
    const start = Math.max(from, speeds[i]?.at ?? 0)
    if (until <= start || speed === 0) continue
    if (left <= (until - start) * speed) return start + left / speed
    left -= (until - start) * speed
  }
  return Number.POSITIVE_INFINITY
}

/** The time of a span in which the machine did not stand still. */
export function movingMs({ speeds }: Machine, from: number, until: number): number {
  let ms = 0
  for (let i = 0; i < speeds.length; i++) {
    const [{ at, speed } = { at: 0, speed: 0 }, next] = [speeds[i], speeds[i + 1]?.at ?? Number.POSITIVE_INFINITY]
    if (speed > 0) ms += Math.max(0, Math.min(next, until) - Math.max(at, from))
  }
  return ms
}

/** Work one slot does before `until`. */
export function doneBy({ speeds }: Machine, until: number): number {
  let done = 0
  for (let i = 0; i < speeds.length; i++) {
    const [{ at, speed } = { at: 0, speed: 0 }, next] = [speeds[i], speeds[i + 1]?.at ?? Number.POSITIVE_INFINITY]
    done += Math.max(0, Math.min(next, until) - at) * speed
  }
  return done
}

/**
 * The largest of three lower bounds, milliseconds from the start:
 * - divisible work: all slots busy to the end, units cut at will; of `copies` of a unit a machine may run only one;
 * - the longest unit, on the machine that ends it first (the copies-th, with copies);
 * - for units all alike, whole units only: the first moment by which the slots together can have ended enough of them.
 */
export function leastMakespan(machines: readonly Machine[], works: readonly number[], copies: number): number {
  const total = works.reduce((sum, work) => sum + work, 0)
  const longest = Math.max(...works)
  const alike = works.every((work) => work === longest)
  const divisible = firstTime((at) => {
    let done = 0
    for (const machine of machines) done += Math.min(total, machine.slots * doneBy(machine, at))
    return done >= copies * total
  })
  const ends = machines.map((machine) => endOf(machine, 0, longest)).sort((a, b) => a - b)
  const single = ends[copies - 1] ?? Number.POSITIVE_INFINITY
  if (!alike) return Math.max(divisible, single)
  const whole = firstTime((at) => {
    let ended = 0
    for (const machine of machines) {
      const perSlot = Math.floor(doneBy(machine, at) / longest + 1e-9)
      ended += Math.min(works.length, machine.slots * perSlot)
    }
    return ended >= copies * works.length
  })
  return Math.max(divisible, single, whole)
}

/** The first time something that stays true is true, to a millionth. */
function firstTime(holds: (at: number) => boolean): number {
  let high = 1
  while (!holds(high)) {
    high *= 2
    if (high > 1e15) return Number.POSITIVE_INFINITY
  }
  let low = 0
  while (high - low > 1e-6 * high) {
    const middle = (low + high) / 2
    if (holds(middle)) high = middle
    else low = middle
  }
  return high
}
