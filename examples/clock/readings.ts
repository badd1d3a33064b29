/** A day and more of readings of a clock that is not there: 15,000,000 of them, 120 MB, the same on every machine. */

import { open } from 'node:fs/promises'

export const READINGS = 15_000_000
const BLOCK = 500_000
/** How far one reading is off by itself, and how far the clock drifts from one to the next. */
const WHITE = 1e-9
const WALK = 3e-14

/** As 64-bit floats, little-endian. */
export async function writeReadings(file: string, told: (part: number) => void): Promise<void> {
  const normal = normals(20_260)
  await using out = await open(file, 'w')
  let drift = 0
  for (let from = 0; from < READINGS; from += BLOCK) {
    const block = Float64Array.from({ length: BLOCK }, () => {
      drift += WALK * normal()
      return drift + WHITE * normal()
    })
    await out.write(new Uint8Array(block.buffer))
    told((from + BLOCK) / READINGS)
  }
}

/** Box and Muller's, from a generator of Lehmer's (48271, 2^31 - 1). */
function normals(seed: number): () => number {
  let state = seed
  const uniform = (): number => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
}
