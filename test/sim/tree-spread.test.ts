/** How a tree spreads from one source: by the choosing that runs in the mesh, over links of all kinds, from seeds. */

import { expect, test } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { type SpreadInit, spreadTree } from './tree-spread.ts'
import { World } from './world.ts'

const MB_S = 1_000
const CHUNKS = 100
const BYTES = CHUNKS * LIMITS.TREE_CHUNK_BYTES

/** No way of sharing is faster: the source must send all of it once, and all together a copy for each. */
const soonestMs = ([source = 0, ...others]: readonly number[]): number => {
  const all = others.reduce((sum, rate) => sum + rate, source)
  return Math.max(BYTES / source, (others.length * BYTES) / all)
}

function check(init: Omit<SpreadInit, 'chunks'>, most: { copies: number; slower: number }): void {
  const { copies, wasted, endMs } = spreadTree({ ...init, chunks: CHUNKS })
  const told = `seed ${init.seed}: ${JSON.stringify({ ...init, copies, wasted, endMs, soonestMs: soonestMs(init.upload) })}`
  expect(copies, told).toBeLessThan(most.copies)
  expect(endMs / soonestMs(init.upload), told).toBeLessThan(most.slower)
  expect(wasted, told).toBeLessThan(0.3)
}

test('among equals the source sends little over one copy, and all have it almost as soon as one would', () => {
  for (let seed = 1; seed <= 100; seed++) {
    const world = new World(seed)
    const rate = world.logBetween(1 * MB_S, 100 * MB_S)
    const upload = Array.from({ length: world.int(2, 12) + 1 }, () => rate)
    check({ seed, upload, latencyMs: world.logBetween(0.1, 50) }, { copies: 1.1, slower: 1.35 })
  }
})

test('a source far slower than its peers sends one copy; one far faster helps them out a little', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const latencyMs = new World(seed).logBetween(0.1, 50)
    const others = [20 * MB_S, 20 * MB_S, 20 * MB_S, 20 * MB_S]
    check({ seed, latencyMs, upload: [2 * MB_S, ...others] }, { copies: 1.1, slower: 1.1 })
    check({ seed, latencyMs, upload: [100 * MB_S, ...others] }, { copies: 2, slower: 2 })
  }
})

test('with links of all speeds nobody waits long for the slow', () => {
  for (let seed = 1; seed <= 100; seed++) {
    const world = new World(seed)
    const upload = Array.from({ length: world.int(2, 8) + 1 }, () => world.logBetween(1 * MB_S, 50 * MB_S))
    check({ seed, upload, latencyMs: world.logBetween(0.1, 50) }, { copies: 2.5, slower: 3.5 })
  }
})

test('askers that cannot reach each other get it from the source, and one that dies holds up nobody', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const world = new World(seed)
    const rate = world.logBetween(1 * MB_S, 100 * MB_S)
    const upload = Array.from({ length: 5 }, () => rate)
    const latencyMs = world.logBetween(0.1, 50)
    const alone = spreadTree({ seed, chunks: CHUNKS, upload, latencyMs, linked: () => false })
    expect(alone.copies, `seed ${seed}`).toBeCloseTo(4, 1)
    expect(alone.endMs, `seed ${seed}`).toBeLessThan(1.3 * ((4 * BYTES) / rate) + 8 * LIMITS.TREE_PATIENCE_MS)
    const death = { asker: world.int(1, 4), atMs: world.between(0.05, 0.9) * (BYTES / rate) }
    check({ seed, upload, latencyMs, death }, { copies: 1.6, slower: 1.8 })
  }
})

test('what a seed gives is always the same', () => {
  const init = { seed: 7, chunks: 50, upload: [5, 3, 2, 9].map((rate) => rate * MB_S), latencyMs: 3 }
  expect(spreadTree(init)).toEqual(spreadTree(init))
})
