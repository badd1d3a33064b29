/** Random numbers of one unit: the same on every peer for the same job seed and unit. */

const WARM_UP_ROUNDS = 15

let current: () => number = seededRandom(0, 0)

/** Makes `Math.random` draw from the stream of the unit that runs. */
export function installRandom(): void {
  Object.defineProperty(Math, 'random', { value: () => current() })
}

export function useRandom(stream: () => number): void {
  current = stream
}

/**
 * sfc32 by C. Doty-Humphrey (PractRand): 128 bits of state, period over 2^32 for every seed.
 * Returns numbers in [0, 1) with 53 random bits.
 */
export function seededRandom(seed: number, unit: number): () => number {
  let a = seed | 0
  let b = unit | 0
  let c = 0x9e3779b9 | 0
  let counter = 1
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
  for (let round = 0; round < WARM_UP_ROUNDS; round++) next()
  return () => ((next() >>> 5) * 0x4000000 + (next() >>> 6)) / 0x20000000000000
}
