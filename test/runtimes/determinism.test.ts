/** Results that are the same on every machine: the mathematical functions, bit by bit, and the random numbers. */

import { createHash } from 'node:crypto'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { endOf, Laboratory } from './laboratory.ts'

let lab: Laboratory
beforeAll(async () => {
  lab = await Laboratory.open('os')
})
afterAll(() => lab.close())

const ONE =
  'acos acosh asin asinh atan atanh cbrt cos cosh exp expm1 log log1p log2 log10 sin sinh tan tanh sqrt fround'
const TWO = 'atan2 pow hypot'
const SPECIAL = `[0, -0, 1, -1, NaN, Infinity, -Infinity, 0.5, -0.5, 2, -2, 3, -3, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308,
  1e-310, 0.1, 10, 100, 0.9999999999999999, 1.0000000000000002, 9007199254740991, -9007199254740992, 1e300, 1e-300, 709.7, -745.2, 1e22]`

/** FNV-1a over the bits of each result, NaN in its one form. */
const DIGESTS = `module.exports = () => {
  const bits = new DataView(new ArrayBuffer(8))
  let hash
  const add = (x) => {
    bits.setFloat64(0, x !== x ? NaN : x)
    if (x !== x) bits.setBigUint64(0, 0x7ff8000000000000n)
    for (let i = 0; i < 8; i++) hash = Math.imul(hash ^ bits.getUint8(i), 16777619)
  }
  const special = ${SPECIAL}
  const draw = () => { const r = Math.random(); return r < 0.3 ? Math.random() * 2 - 1 : r < 0.7 ? (Math.random() - 0.5) * 60 : (Math.random() - 0.5) * 1e6 }
  const of = {}
  for (const name of '${ONE}'.split(' ')) {
    hash = 2166136261
    for (const x of special) add(Math[name](x))
    for (let i = 0; i < 20000; i++) add(Math[name](draw()))
    of[name] = hash >>> 0
  }
  for (const name of '${TWO}'.split(' ')) {
    hash = 2166136261
    for (const x of special) for (const y of special) add(Math[name](x, y))
    for (let i = 0; i < 20000; i++) add(Math[name](Math.abs(draw()), draw()))
    of[name] = hash >>> 0
  }
  return of
}`

test('every function of Math gives the bits it gave when this was written', async () => {
  const [digests] = (await lab.attack(DIGESTS, { timeoutMs: 60_000 })).map(endOf)
  expect(digests).toMatchInlineSnapshot(`
    {
      "acos": 4253980475,
      "acosh": 2993322980,
      "asin": 3602710926,
      "asinh": 1544962878,
      "atan": 2712474376,
      "atan2": 3630569309,
      "atanh": 1139018492,
      "cbrt": 3528148662,
      "cos": 3528241447,
      "cosh": 3690018176,
      "exp": 1765203896,
      "expm1": 1189011155,
      "fround": 3864923266,
      "hypot": 3516840596,
      "log": 3410187528,
      "log10": 861854189,
      "log1p": 1020159526,
      "log2": 3526163472,
      "pow": 2077631890,
      "sin": 368066262,
      "sinh": 1735835535,
      "sqrt": 185616120,
      "tan": 4037040564,
      "tanh": 2435266363,
    }
  `)
})

/** Numbers travel as text: JSON has no NaN, no infinities and no negative zero. */
const POINTS = `const text = (x) => (Object.is(x, -0) ? '-0' : String(x))
const special = ${SPECIAL}
const points = [...special, ...Array.from({ length: 300 }, () => (Math.random() - 0.5) * 40)]
module.exports = (name) => '${TWO}'.includes(name)
  ? points.slice(0, 100).flatMap((x) => special.map((y) => [x, y, Math[name](x, y)].map(text)))
  : points.map((x) => [x, Math[name](x)].map(text))`

test('special values are as ECMA-262 says, all others within two units in the last place of V8', async () => {
  const names = `${ONE} ${TWO}`.split(' ')
  const tables = (await lab.attack(POINTS, {}, names)).map(endOf) as string[][][]
  for (const [i, name] of names.entries()) {
    const theirs = Reflect.get(Math, name) as (...points: number[]) => number
    for (const row of tables[i] ?? []) {
      const ours = Number(row.at(-1))
      const points = row.slice(0, -1).map(Number)
      expect(distance(ours, theirs(...points)), `${name}(${points})`).toBeLessThanOrEqual(2)
    }
  }
})

test('the power operator, lowered by the bundler, is Math.pow', async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: 'export default ({ x, y }: { x: number; y: number }) => [x ** y, Math.pow(x, y)]',
      loader: 'ts',
    },
    bundle: true,
    format: 'cjs',
    platform: 'neutral',
    supported: { 'exponent-operator': false },
    write: false,
  })
  const source = outputFiles[0]?.text ?? ''
  expect(source).not.toContain('**')
  const points = [1.1, 2.7, 9.3].flatMap((x) => [0.3, 2, -7.7].map((y) => ({ x, y })))
  const pairs = (await lab.attack(source, {}, points)).map(endOf) as [number, number][]
  for (const [operator, named] of pairs) expect(operator).toBe(named)
})

test('the stream of random numbers is fixed and even', async () => {
  const run = `module.exports = () => { const a = []; for (let i = 0; i < 5000; i++) a.push(Math.random()); return a }`
  const numbers = endOf((await lab.attack(run, { seed: 42 }))[0]) as number[]
  expect(numbers.slice(0, 3)).toMatchInlineSnapshot(`
    [
      0.9066156002415592,
      0.7557707351759388,
      0.5034510364228689,
    ]
  `)
  expect(createHash('sha256').update(numbers.join()).digest('hex').slice(0, 16)).toMatchInlineSnapshot(
    `"853a5d5a0b4a4ff2"`,
  )
  const mean = numbers.reduce((a, b) => a + b) / numbers.length
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.02)
  // Streams of neighbouring units and seeds are unlike each other.
  const firsts = (
    await lab.attack(
      'module.exports = () => Math.random()',
      {},
      Array.from({ length: 2000 }, () => null),
    )
  ).map(endOf)
  const spread = (firsts as number[]).reduce((a, b) => a + b) / firsts.length
  expect(Math.abs(spread - 0.5)).toBeLessThan(0.03)
})

/** Representable numbers between two. */
function distance(a: number, b: number): number {
  if (Object.is(a, b)) return 0
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.POSITIVE_INFINITY
  return Math.abs(Number(ordinal(a) - ordinal(b)))
}

function ordinal(x: number): bigint {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, x)
  const bits = view.getBigInt64(0)
  return bits < 0n ? -(bits & 0x7fffffffffffffffn) : bits
}
