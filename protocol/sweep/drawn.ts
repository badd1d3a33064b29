/**
 * Random and latin-hypercube sweeps: any point from (seed, axis, index) alone.
 * Latin: each axis is cut into as many strata of equal probability as there are points, and each stratum is drawn
 * once (McKay, Beckman, Conover, Technometrics 21, 1979).
 */

import { createHash } from 'node:crypto'
import log10 from '@stdlib/math-base-special-log10'
import pow from '@stdlib/math-base-special-pow'
import type { Json } from '../canonical.ts'
import { invalid } from './fault.ts'
import { permutation } from './permutation.ts'
import { philox4x32, type Words4 } from './philox.ts'
import { bytesOf, NUMBER_MAX_BYTES } from './pointset.ts'
import type { Axes, Draw } from './schema.ts'

/** What words of one axis are drawn for; keeps the streams apart. */
const VALUE_STREAM = 0
const STRATUM_STREAM = 1

export type DrawnAxis = {
  name: string
  /** No value takes more bytes as canonical JSON. */
  maxBytes: number
  at(index: number): Json
}

export function randomAxes(axes: Axes<Draw>, seed: number, path: string): DrawnAxis[] {
  return axes.map(([name, draw]) => {
    const value = quantile(draw, `${path}.${name}`)
    const words = wordsOf(seed, name)
    return { name, maxBytes: maxBytes(draw), at: (index) => value(unitInterval(words(index, VALUE_STREAM))) }
  })
}

export function latinAxes(axes: Axes<Draw>, count: number, seed: number, path: string): DrawnAxis[] {
  return axes.map(([name, draw]) => {
    const value = quantile(draw, `${path}.${name}`)
    const words = wordsOf(seed, name)
    const stratumOf = permutation(count, (half, round) => words(half, STRATUM_STREAM + round)[0])
    return {
      name,
      maxBytes: maxBytes(draw),
      at(index) {
        // 26 bits within the stratum: with its 27-bit number the sum is exact and stays below the next stratum.
        const within = (words(index, VALUE_STREAM)[0] >>> 6) / 0x4000000
        return value((stratumOf(index) + within) / count)
      },
    }
  })
}

/** Random words of one axis: the whole name takes part, so that no two axes share a stream. */
function wordsOf(seed: number, name: string): (index: number, stream: number) => Words4 {
  const hash = createHash('sha256').update(name).digest()
  const key = [seed, hash.readUInt32LE(0)] as const
  const own = [hash.readUInt32LE(4), hash.readUInt32LE(8)] as const
  return (index, stream) => philox4x32([index, stream, own[0], own[1]], key)
}

/** A double in [0, 1) from 53 of the bits. */
const unitInterval = ([high, low]: Words4): number => ((high >>> 5) * 0x4000000 + (low >>> 6)) / 0x20000000000000

/** From a probability in [0, 1) to the value below which that much of the distribution lies. */
function quantile(draw: Draw, path: string): (u: number) => Json {
  switch (draw.kind) {
    case 'uniform': {
      const { from, to } = draw
      if (!(from < to)) throw invalid(path, `must rise: from ${from} to ${to}`)
      return (u) => from * (1 - u) + to * u + 0
    }
    case 'loguniform': {
      const { from, to } = draw
      if (!(from > 0 && from < to)) throw invalid(path, `must be positive and rise: from ${from} to ${to}`)
      const low = log10(from)
      const high = log10(to)
      return (u) => Math.min(to, Math.max(from, pow(10, low * (1 - u) + high * u)))
    }
    case 'integer': {
      const { from, to } = draw
      if (from > to) throw invalid(path, `must not fall: from ${from} to ${to}`)
      const span = to - from + 1
      if (!Number.isSafeInteger(span)) throw invalid(path, 'spans more whole numbers than can be drawn from')
      return (u) => from + Math.floor(u * span) + 0
    }
    case 'choice': {
      const { values } = draw
      return (u) => values[Math.floor(u * values.length)] ?? null
    }
  }
}

const maxBytes = (draw: Draw): number =>
  draw.kind === 'choice'
    ? draw.values.reduce<number>((most, value) => Math.max(most, bytesOf(value)), 0)
    : NUMBER_MAX_BYTES
