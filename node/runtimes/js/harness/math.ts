/**
 * Mathematical functions whose bits are the same on every peer. ECMAScript leaves these to the engine, and V8's differ
 * with its version and, for pow and tanh, with the CPU. These are @stdlib's ports of FreeBSD's msun in plain JavaScript.
 * What IEEE 754 defines exactly (sqrt, fround, floor, ...) stays V8's.
 */

import acos from '@stdlib/math-base-special-acos'
import acosh from '@stdlib/math-base-special-acosh'
import asin from '@stdlib/math-base-special-asin'
import asinh from '@stdlib/math-base-special-asinh'
import atan from '@stdlib/math-base-special-atan'
import atan2 from '@stdlib/math-base-special-atan2'
import atanh from '@stdlib/math-base-special-atanh'
import cbrt from '@stdlib/math-base-special-cbrt'
import cos from '@stdlib/math-base-special-cos'
import cosh from '@stdlib/math-base-special-cosh'
import exp from '@stdlib/math-base-special-exp'
import expm1 from '@stdlib/math-base-special-expm1'
import log from '@stdlib/math-base-special-ln'
import log1p from '@stdlib/math-base-special-log1p'
import log2 from '@stdlib/math-base-special-log2'
import log10 from '@stdlib/math-base-special-log10'
import pow from '@stdlib/math-base-special-pow'
import sin from '@stdlib/math-base-special-sin'
import sinh from '@stdlib/math-base-special-sinh'
import tan from '@stdlib/math-base-special-tan'
import tanh from '@stdlib/math-base-special-tanh'

const unary: Record<string, (x: number) => number> = {
  acos,
  acosh,
  asin,
  asinh,
  atan,
  atanh,
  cbrt,
  cos,
  cosh,
  exp,
  expm1,
  log,
  log1p,
  log2,
  log10,
  sin,
  sinh,
  tan,
  tanh,
}
const binary: Record<string, (y: number, x: number) => number> = { atan2, pow }

/** Puts them in the place of `Math`'s own. */
export function installMath(): void {
  for (const [name, of] of Object.entries(unary)) replace(name, (x: unknown) => of(Number(x)), 1)
  for (const [name, of] of Object.entries(binary)) {
    replace(name, (x: unknown, y: unknown) => of(Number(x), Number(y)), 2)
  }
  replace('hypot', hypot, 2)
}

/** Scaled by the largest, summed in order: every step is exact IEEE 754 arithmetic, so every peer gets the same. */
function hypot(...sides: unknown[]): number {
  const lengths = sides.map((side) => Math.abs(Number(side)))
  if (lengths.includes(Number.POSITIVE_INFINITY)) return Number.POSITIVE_INFINITY
  const largest = Math.max(0, ...lengths)
  if (largest === 0 || Number.isNaN(largest)) return largest
  let sum = 0
  for (const length of lengths) sum += (length / largest) * (length / largest)
  return Math.sqrt(sum) * largest
}

function replace(name: string, value: unknown, length: number): void {
  Object.defineProperty(value, 'name', { value: name })
  Object.defineProperty(value, 'length', { value: length })
  Object.defineProperty(Math, name, { value, writable: true, configurable: true })
}
