/** The values of one axis, each computed from its position. */

import log10 from '@stdlib/math-base-special-log10'
import pow from '@stdlib/math-base-special-pow'
import { canonicalJson, type Json } from '../canonical.ts'
import { linspaceValue, rangeCount, rangeValue } from './decimal.ts'
import { invalid, tooBig } from './fault.ts'
import { bytesOf, NUMBER_MAX_BYTES } from './pointset.ts'
import type { Axis } from './schema.ts'

export type CompiledAxis = {
  size: number
  /** No value takes more bytes as canonical JSON. */
  maxBytes: number
  at(position: number): Json
  /** Positions that hold a value, ascending. */
  positionsOf(value: Json): number[]
}

/** @throws E_SWEEP_INVALID, E_SWEEP_TOO_BIG, naming `path` */
export function compileAxis(axis: Axis, path: string): CompiledAxis {
  switch (axis.kind) {
    case 'list':
      return listAxis(axis.values)
    case 'range': {
      const { from, to, step } = axis
      if (step === 0) throw invalid(`${path}.step`, 'is zero')
      const size = rangeCount(from, to, step)
      if (size === 0) throw invalid(path, `has no values from ${from} to ${to} by ${step}`)
      if (!Number.isSafeInteger(size)) throw tooBig(path, 'has more values than can be counted')
      return numberAxis(size, rangeValue(from, step))
    }
    case 'linspace':
      return numberAxis(axis.count, linspaceValue(axis.from, axis.to, axis.count))
    case 'logspace':
      if (axis.from * Math.sign(axis.to) <= 0) throw invalid(path, 'must not begin, end at or cross zero')
      return numberAxis(axis.count, logspaceValue(axis.from, axis.to, axis.count))
  }
}

/**
 * Value `i` of `count` in constant ratio; whole powers of ten come out exactly. The exponential and the logarithm are
 * JavaScript ports of FreeBSD's msun, because the built-in ones differ between CPUs.
 */
function logspaceValue(from: number, to: number, count: number): (i: number) => number {
  const sign = Math.sign(from)
  const exponent = linspaceValue(log10(Math.abs(from)), log10(Math.abs(to)), count)
  return (i) => {
    if (i === 0 || count === 1) return from
    return i === count - 1 ? to : sign * pow(10, exponent(i))
  }
}

function numberAxis(size: number, value: (i: number) => number): CompiledAxis {
  // Adding zero turns -0 into 0: JSON has but one of them.
  const at = (position: number): number => value(position) + 0
  const rising = at(size - 1) >= at(0) ? 1 : -1
  return {
    size,
    maxBytes: NUMBER_MAX_BYTES,
    at,
    positionsOf(wanted) {
      if (typeof wanted !== 'number') return []
      let low = 0
      let high = size
      while (low < high) {
        const middle = Math.floor((low + high) / 2)
        if (rising * (at(middle) - wanted) < 0) low = middle + 1
        else high = middle
      }
      const found: number[] = []
      for (let i = low; i < size && at(i) === wanted; i += 1) found.push(i)
      return found
    },
  }
}

function listAxis(values: readonly Json[]): CompiledAxis {
  let positions: Map<string, number[]> | undefined
  return {
    size: values.length,
    maxBytes: values.reduce<number>((most, value) => Math.max(most, bytesOf(value)), 0),
    at: (position) => values[position] ?? null,
    positionsOf(wanted) {
      positions ??= positionsByText(values.length, (i) => values[i] ?? null)
      return positions.get(canonicalJson(wanted)) ?? []
    },
  }
}

/** Positions by the canonical text of the value there. */
export function positionsByText(size: number, valueAt: (i: number) => Json): Map<string, number[]> {
  const positions = new Map<string, number[]>()
  for (let i = 0; i < size; i += 1) {
    const text = canonicalJson(valueAt(i))
    const known = positions.get(text)
    if (known === undefined) positions.set(text, [i])
    else known.push(i)
  }
  return positions
}
