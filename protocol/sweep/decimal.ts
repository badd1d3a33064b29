/**
 * Evenly spaced values that are the numbers a person would write down: range(0, 1, 0.1) holds 0.3 and not
 * 0.30000000000000004. The ends are read as the decimals they are printed as; every value is then one integer
 * divided by another, which IEEE 754 rounds to the nearest double, as reading the decimal would.
 * Ends with too many digits for that take the usual formula on doubles, which never accumulates errors either.
 */

/** How many values `from`, `from + step`, ... lie before `to`. */
export function rangeCount(from: number, to: number, step: number): number {
  const scaled = scaleUp([from, to, step])
  if (scaled !== undefined)
    return Math.max(0, Math.ceil((scaled.integers[1] - scaled.integers[0]) / scaled.integers[2]))
  let count = Math.max(0, Math.ceil((to - from) / step))
  if (!Number.isSafeInteger(count)) return count
  while (count > 0 && !isBefore(from + (count - 1) * step, to, step)) count -= 1
  return count
}

/** Value `i` of `from`, `from + step`, ... */
export function rangeValue(from: number, step: number): (i: number) => number {
  const scaled = scaleUp([from, step])
  if (scaled === undefined) return (i) => from + i * step
  const [first, by] = scaled.integers
  return (i) => {
    const numerator = first + i * by
    return Number.isSafeInteger(numerator) ? numerator / scaled.scale : from + i * step
  }
}

/** Value `i` of `count` from `from` to `to`, both included exactly. */
export function linspaceValue(from: number, to: number, count: number): (i: number) => number {
  const last = count - 1
  const [least, most] = from < to ? [from, to] : [to, from]
  const scaled = scaleUp([from, to])
  return (i) => {
    if (count === 1) return from
    if (scaled !== undefined) {
      const numerator = scaled.integers[0] * (last - i) + scaled.integers[1] * i
      const denominator = scaled.scale * last
      if (Number.isSafeInteger(numerator) && Number.isSafeInteger(denominator)) return numerator / denominator
    }
    const t = i / last
    // Between neighbours the sum may round to beyond them.
    return Math.min(most, Math.max(least, from * (1 - t) + to * t))
  }
}

const isBefore = (value: number, to: number, step: number): boolean => (step > 0 ? value < to : value > to)

type Scaled<T extends number[]> = { integers: { [K in keyof T]: number }; scale: number }

/** The numbers times the least power of ten that makes all of them whole, or undefined when 53 bits do not hold them. */
function scaleUp<const T extends number[]>(numbers: T): Scaled<T> | undefined {
  const decimals = numbers.map(decimalOf)
  const places = Math.max(0, ...decimals.map((decimal) => -decimal.exponent))
  if (places > 15) return undefined
  const integers = decimals.map(({ digits, exponent }) => Number(`${digits}e${exponent + places}`))
  if (!integers.every(Number.isSafeInteger)) return undefined
  return { integers: integers as Scaled<T>['integers'], scale: Number(`1e${places}`) }
}

/** The shortest decimal that reads back as the number, as whole `digits` x 10^`exponent`. */
function decimalOf(value: number): { digits: string; exponent: number } {
  const [mantissa = '0', exponent = '0'] = value.toExponential().split('e')
  const [whole = '0', fraction = ''] = mantissa.split('.')
  return { digits: whole + fraction, exponent: Number(exponent) - fraction.length }
}
