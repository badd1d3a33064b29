import { describe, expect, test } from 'vitest'
import { CreditBook } from '../../node/jobs/verification/book.ts'
import { checkedUnits, closingCheck, closingChecks, Vouchers } from '../../node/jobs/verification/checked-units.ts'
import {
  ASSUMED,
  admission,
  aged,
  caught,
  type Evidence,
  errorRate,
  exonerated,
  survived,
  undecidedMax,
} from '../../node/jobs/verification/credit.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { assuming } from './cases.ts'
import { Chance } from './chance.ts'
import { stranger } from './voices.ts'

const HOUR = 3_600_000

describe('the error rate of a peer', () => {
  test.each([0.01, 0.05, 0.2, 0.35])('is at least that of the worst lying rate, f = %d', (f) => {
    for (const k of [0, 1, 2, 3, 10, 92, 1_000]) {
      let worst = 0
      for (let s = 0; s <= 1; s += 1 / 4_096) {
        const survives = (1 - s) ** k
        worst = Math.max(worst, (f * s * survives) / (1 - f + f * survives))
      }
      const rate = errorRate(stranger(k), assuming(f, 1))
      expect(rate).toBeGreaterThanOrEqual(worst)
      // The closed form is simple, not wasteful.
      expect(rate).toBeLessThan(k === 0 ? f * 1.001 : Math.max(f, worst * 2.5) * 1.001)
    }
  })

  test('never rises with checks, never above f, never above one half', () => {
    for (const f of [0.01, 0.2, 0.49, 0.9]) {
      let last = 0.5
      for (let k = 0; k < 300; k += 0.25) {
        const rate = errorRate(stranger(k), assuming(f, 1))
        expect(rate).toBeLessThanOrEqual(Math.min(last, f, 0.5))
        last = rate
      }
    }
  })

  test('who was caught starts at one half, and must show more the more often', () => {
    expect(errorRate(stranger(0, 1), ASSUMED)).toBe(0.5)
    expect(errorRate(stranger(368, 1), ASSUMED)).toBeCloseTo(0.001, 5)
    expect(errorRate(stranger(368, 2), ASSUMED)).toBeCloseTo(0.002, 5)
  })
})

describe('evidence', () => {
  const start: Evidence = { checks: 100, caught: 0, at: 0 }

  test('fades: half after a half-life', () => {
    expect(aged(start, ASSUMED.halfLifeMs, ASSUMED).checks).toBeCloseTo(50)
    expect(aged(start, -5, ASSUMED).checks).toBe(100)
  })

  test('a catch voids the history; three half-lives forgive it', () => {
    const after = caught(start, 0, ASSUMED)
    expect(after).toEqual({ checks: 0, caught: 1, at: 0 })
    expect(aged(after, 3 * ASSUMED.halfLifeMs, ASSUMED).caught).toBeGreaterThan(0)
    expect(aged(after, 3.01 * ASSUMED.halfLifeMs, ASSUMED).caught).toBe(0)
  })

  test('an honest peer that erred once comes back: rest, canaries, work, and in the end alone', () => {
    let evidence = caught(start, 0, ASSUMED)
    expect(admission(evidence, HOUR / 2)).toBe('rest')
    expect(admission(evidence, HOUR)).toBe('canary')
    for (let i = 0; i < 10; i++) evidence = survived(evidence, HOUR, ASSUMED)
    expect(admission(evidence, HOUR)).toBe('work')
    evidence = survived(evidence, HOUR, ASSUMED, 360)
    expect(errorRate({ trust: 'stranger', credit: evidence }, ASSUMED)).toBeLessThan(0.001)
  })

  test('each further catch doubles the rest', () => {
    const twice = caught(caught(start, 0, ASSUMED), 0, ASSUMED)
    expect(admission(twice, 1.9 * HOUR)).toBe('rest')
    expect(admission(twice, 2 * HOUR)).toBe('canary')
  })

  test('undecided units: one for a newcomer, twice as many after each check', () => {
    const allowed = [0, 0.5, 1, 2, 7].map((checks) => undecidedMax({ checks, caught: 0 }))
    expect(allowed).toEqual([1, 1, 2, 4, 128])
    expect(undecidedMax({ checks: 8, caught: 0 })).toBe(Infinity)
  })

  test('who was wronged gets back all it lost', () => {
    expect(exonerated(caught(start, 0, ASSUMED), start, 0, ASSUMED)).toEqual({ checks: 101, caught: 0, at: 0 })
  })
})

describe('the book', () => {
  test('catches are undone when the unit is decided otherwise, and only then', () => {
    const book = new CreditBook({ assumed: ASSUMED, load: () => ({ checks: 7, caught: 0, at: 0 }) })
    book.catch('job 1', 'a', 0)
    book.catch('job 2', 'b', 0)
    book.confirm(['c'], 0)
    expect(book.credit('a', 0)).toMatchObject({ checks: 0, caught: 1 })
    expect(book.overturn('job 1', 0)).toEqual(['a'])
    expect(book.overturn('job 1', 0)).toEqual([])
    expect(book.credit('a', 0)).toMatchObject({ checks: 8, caught: 0 })
    expect(book.credit('b', 0)).toMatchObject({ checks: 0, caught: 1 })
    expect(book.credit('c', 0)).toMatchObject({ checks: 8, caught: 0 })
  })

  test('forgets the oldest at its limits', () => {
    const book = new CreditBook({ assumed: ASSUMED })
    for (let i = 0; i <= LIMITS.PEERS_CREDITED_MAX; i++) book.confirm([`p${i}`], 0)
    expect(book.credit('p1', 0).checks).toBe(1)
    expect(book.credit('p0', 0).checks).toBe(0)
    for (let i = 0; i <= LIMITS.CATCHES_KEPT_MAX; i++) book.catch(`u${i}`, 'x', 0)
    expect(book.overturn('u0', 0)).toEqual([])
    expect(book.overturn('u1', 0)).toEqual(['x'])
  })
})

test('the longer a peer was believed alone, the likelier its last words are checked', () => {
  const run = Array.from({ length: 20 }, (_, unit) => unit)
  const draws =
    (...values: number[]) =>
    () =>
      values.shift() ?? 0
  expect(closingCheck(run, 0.05, draws(0.999, 0.999))).toBe(19)
  expect(closingCheck(run.slice(0, 10), 0.05, draws(0.51, 0))).toBeNull()
  expect(closingCheck(run.slice(0, 10), 0.05, draws(0.49, 0))).toBe(0)
  expect(closingCheck([], 0.05, draws(0, 0))).toBeNull()
})

describe('before all that waits on the word of a peer is accepted', () => {
  const waiting = (words: number) => Array.from({ length: words }, (_, i) => i)
  const chance = new Chance(1)
  const draw = () => chance.next()

  test.each([
    [250, 24, 565],
    [250, 20, 600],
    [160, 20, 900],
    [57, 5, 1_500],
  ])(
    '%d words, %d confirmed since, of %d results: 997 of 1,000 that lied on more than one in twenty are seen',
    (...args) => {
      const [words, confirmed, results] = args
      const checks = closingChecks({ units: waiting(words), confirmed, unchecked: words }, results, 0.05, draw)
      expect(new Set(checks).size).toBe(checks.length)
      const rate = Math.min(1, (0.05 * results) / words)
      expect((1 - rate) ** (confirmed + 2 * checks.length)).toBeLessThanOrEqual(0.003)
      expect(checks.length).toBeLessThanOrEqual(Math.ceil(0.075 * words))
    },
  )

  test('where that takes too much one is checked, or none', () => {
    const short = { units: waiting(57), confirmed: 5, unchecked: 20 }
    expect(closingChecks(short, 150, 0.05, () => 0.999)).toEqual([56])
    expect(closingChecks({ ...short, unchecked: 10 }, 150, 0.05, () => 0.51)).toEqual([])
  })
})

test('a word is vouched for when 24 later ones were confirmed, in whatever order', () => {
  const vouchers = new Vouchers()
  for (let word = 240; word > 10; word -= 10) vouchers.note(word)
  expect([vouchers.vouchFor(1), vouchers.after(1), vouchers.after(20)]).toEqual([false, 23, 22])
  vouchers.note(10)
  expect([9, 10, 25].map((word) => vouchers.vouchFor(word))).toEqual([true, false, false])
  vouchers.note(250)
  expect([19, 20].map((word) => vouchers.vouchFor(word))).toEqual([true, false])
})

describe('checked units', () => {
  const key = (byte: number) => new Uint8Array(16).fill(byte)
  const marked = (byte: number, share: number) => {
    const isChecked = checkedUnits(key(byte), share)
    return Array.from({ length: 20_000 }, (_, unit) => unit).filter(isChecked)
  }

  test('are the share that was asked for, and others with another key', () => {
    const [one, other] = [marked(1, 0.05), marked(2, 0.05)]
    expect(one.length).toBeGreaterThan(900)
    expect(one.length).toBeLessThan(1_100)
    expect(marked(1, 0.05)).toEqual(one)
    expect(one.filter((unit) => other.includes(unit)).length).toBeLessThan(100)
    expect([marked(1, 0).length, marked(1, 1).length]).toEqual([0, 20_000])
  })
})
