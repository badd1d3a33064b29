/**
 * Mathematical functions whose bits are the same on every peer. ECMAScript leaves these to the engine, and V8's differ
 * with its version and, for pow and tanh, with the CPU. These are @stdlib's ports of FreeBSD's msun and Cephes in plain JavaScript.
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

const ofOne: Record<string, (x: number) => number> = {
  ...{ acos, acosh, asin, asinh, atan, atanh, cbrt, cos, cosh, exp, expm1, log1p, log2, log10, sin, sinh, tan, tanh },
  log: (x) => log(x),
}
const ofTwo: Record<string, (x: number, y: number) => number> = { atan2: angle, pow: power }

/** Puts them in the place of `Math`'s own. */
export function installMath(): void {
  for (const [name, of] of Object.entries(ofOne)) replace(name, (x: unknown) => of(Number(x)), 1)
  for (const [name, of] of Object.entries(ofTwo)) replace(name, (x: unknown, y: unknown) => of(Number(x), Number(y)), 2)
  replace('hypot', hypot, 2)
}

/** @stdlib loses the sign of a quotient that underflows. */
function angle(y: number, x: number): number {
  return y < 0 || Object.is(y, -0) ? -atan2(-y, x) : atan2(y, x)
}

/** The cases that ECMA-262 6.1.6.1.3 lists are decided here: in some of them @stdlib follows C instead. */
function power(x: number, y: number): number {
  if (y === 2) return x * x
  if (y === 0) return 1
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.NaN
  const size = Math.abs(x)
  const sign = (x < 0 || Object.is(x, -0)) && Math.abs(y % 2) === 1 ? -1 : 1
  if (size === 1) return Number.isInteger(y) ? sign : x === 1 && Number.isFinite(y) ? 1 : Number.NaN
  if (!Number.isFinite(y)) return size > 1 === y > 0 ? Number.POSITIVE_INFINITY : 0
  if (size === 0 || size === Number.POSITIVE_INFINITY)
    return size > 1 === y > 0 ? sign * Number.POSITIVE_INFINITY : sign * 0
  if (x < 0 && !Number.isInteger(y)) return Number.NaN
  return sign * pow(size, y)
}

/** Scaled by the largest and summed in order: every step is IEEE 754 arithmetic, the same everywhere. */
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
