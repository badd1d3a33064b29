import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { relationOf, within } from '../../node/jobs/verification/agreement.ts'
import { verificationOf as createVerification } from '../../node/jobs/verification/by-policy.ts'
import { leadingGroup } from '../../node/jobs/verification/quorum.ts'
import { type JudgedVoice, pairKey, type Verdict } from '../../node/jobs/verification/verification.ts'
import { canonicalJson, type Json } from '../../protocol/canonical.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Agree, Verify } from '../../protocol/manifest.ts'

const NONE = new Map<string, boolean>()
const exact: Agree = { kind: 'exact' }
const quorum = (agree: number, of: number): Verify => ({ kind: 'quorum', agree, of })

const voice = (peer: string, said: JudgedVoice['said']): JudgedVoice => ({
  peer,
  trust: 'member',
  independence: [],
  said,
})
const value = (peer: string, json: Json) => {
  const text = canonicalJson(json)
  return voice(peer, { ok: true, digest: `#${text}`, value: text })
}
const failure = (peer: string, code = 'E_TASK_THREW') => voice(peer, { ok: false, code, message: '', blame: 'program' })

const judge = (verify: Verify, voices: JudgedVoice[], agree: Agree = exact, answers = NONE, others = 9): Verdict =>
  createVerification({ verify, agree }).judge(voices, answers, others)

describe('quorum', () => {
  test.each<[string, Verify, JudgedVoice[], object]>([
    ['nobody was heard', quorum(2, 3), [], { kind: 'needs', copies: 2 }],
    ['one voice', quorum(2, 3), [value('a', 1)], { kind: 'needs', copies: 1 }],
    ['two agree', quorum(2, 3), [value('a', 1), value('b', 1)], { kind: 'accepted', digest: '#1', against: [] }],
    ['two differ', quorum(2, 3), [value('a', 1), value('b', 2)], { kind: 'needs', copies: 1 }],
    ['two differ, no third is allowed', quorum(2, 2), [value('a', 1), value('b', 2)], { kind: 'impossible' }],
    ['the third decides', quorum(2, 3), [value('a', 1), value('b', 2), value('c', 2)], { against: ['a'] }],
    ['three differ', quorum(2, 3), [value('a', 1), value('b', 2), value('c', 3)], { kind: 'impossible' }],
    ['it shows early', quorum(3, 4), [value('a', 1), value('b', 2), value('c', 3)], { kind: 'impossible' }],
    ['one failure', quorum(2, 3), [failure('a')], { kind: 'needs', copies: 1 }],
    [
      'two fail alike',
      quorum(2, 3),
      [failure('a'), failure('b')],
      { kind: 'failed', failure: { code: 'E_TASK_THREW' } },
    ],
    ['two fail otherwise', quorum(2, 3), [failure('a'), failure('b', 'E_MEMORY')], { kind: 'needs', copies: 1 }],
    ['a value and a failure', quorum(2, 3), [value('a', 1), failure('b')], { kind: 'needs', copies: 1 }],
    ['none: a value', { kind: 'none' }, [value('a', 1)], { kind: 'accepted', digest: '#1' }],
    ['none: a failure', { kind: 'none' }, [failure('a')], { kind: 'needs', copies: 1 }],
    [
      'none: a failure, then a value',
      { kind: 'none' },
      [failure('a'), value('b', 1)],
      { agreed: ['b'], against: ['a'] },
    ],
  ])('%s', (_, verify, voices, verdict) => {
    expect(judge(verify, voices)).toMatchObject(verdict)
  })

  test('a failure stands on one word only where nobody else could be asked', () => {
    expect(judge({ kind: 'none' }, [failure('a')], exact, NONE, 0)).toMatchObject({ kind: 'failed' })
    expect(judge(quorum(1, 3), [failure('a')], exact, NONE, 0)).toMatchObject({ kind: 'failed' })
    expect(judge(quorum(2, 3), [failure('a')], exact, NONE, 0)).toMatchObject({ kind: 'needs' })
  })

  const said = fc.constantFrom<JudgedVoice['said']>(
    ...[1, 2, 3].map((n) => ({ ok: true as const, digest: `#${n}`, value: `${n}` })),
    { ok: false, code: 'E_TASK_THREW', message: '', blame: 'program' },
    { ok: false, code: 'E_MEMORY', message: '', blame: 'memory' },
  )
  const agrees = fc.constantFrom<Agree>(exact, { kind: 'tolerance', absolute: 1, relative: 0 })

  test('the order of the voices does not matter', () => {
    const voices = fc.array(said, { maxLength: LIMITS.QUORUM_MAX })
    fc.assert(
      fc.property(
        voices,
        agrees,
        fc.integer({ min: 1, max: 5 }),
        fc.infiniteStream(fc.nat()),
        (all, agree, n, keys) => {
          const heard = all.map((one, i) => voice(`p${i}`, one))
          const shuffled = heard
            .map((one) => ({ one, key: keys.next().value ?? 0 }))
            .sort((a, b) => a.key - b.key)
            .map(({ one }) => one)
          expect(normal(judge(quorum(n, LIMITS.QUORUM_MAX), shuffled, agree))).toEqual(
            normal(judge(quorum(n, LIMITS.QUORUM_MAX), heard, agree)),
          )
        },
      ),
    )
  })

  test('accepted means that so many agree; needs never asks for more than `of` allows', () => {
    fc.assert(
      fc.property(fc.array(said, { maxLength: 15 }), agrees, fc.nat(5), fc.nat(9), (all, agreeBy, n, extra) => {
        const [agree, of] = [n + 1, n + 1 + extra]
        const heard = all.slice(0, of).map((one, i) => voice(`p${i}`, one))
        const verdict = judge(quorum(agree, of), heard, agreeBy)
        if (verdict.kind === 'accepted') {
          expect(verdict.agreed.length).toBeGreaterThanOrEqual(agree)
          expect([...verdict.agreed, ...verdict.against].sort()).toEqual(heard.map(({ peer }) => peer).sort())
        }
        if (verdict.kind === 'needs') {
          expect(verdict.copies).toBeGreaterThan(0)
          expect(heard.length + verdict.copies).toBeLessThanOrEqual(of)
        }
      }),
    )
  })
})

/** Who is named is a set, and of a failure only its code is compared. */
function normal(verdict: Verdict): object {
  if (verdict.kind === 'accepted' || verdict.kind === 'failed') {
    return { ...verdict, agreed: verdict.agreed.toSorted(), against: verdict.against.toSorted() }
  }
  return verdict
}

describe('tolerance', () => {
  test.each<[Json, Json, boolean]>([
    [1, 1.05, true],
    [1, 1.2, false],
    [0, 0.009, true],
    [-1, 1, false],
    [1e300, 1.05e300, true],
    [[1, 2], [1.05, 2.1], true],
    [[1, 2], [1], false],
    [{ a: 1, b: ['x', null, true] }, { b: ['x', null, true], a: 1.05 }, true],
    [{ a: 1 }, { a: 1, b: 2 }, false],
    [{ a: 1 }, { b: 1 }, false],
    [{ toString: 1 }, { a: 1 }, false],
    ['1', 1, false],
    [null, 0, false],
    [[], {}, false],
    [true, 1, false],
  ])('%j and %j: %s', (a, b, same) => {
    const tolerance = { absolute: 0.01, relative: 0.1 }
    expect(within(a, b, tolerance)).toBe(same)
    expect(within(b, a, tolerance)).toBe(same)
  })

  test('what is nested too deep agrees with nothing', () => {
    const nested = (depth: number) => `${'['.repeat(depth)}1${']'.repeat(depth)}`
    const agree: Agree = { kind: 'tolerance', absolute: 1, relative: 0 }
    const said = (peer: string, depth: number, mark: string) =>
      voice(peer, { ok: true, digest: mark, value: nested(depth) })
    const judged = (depth: number) => judge(quorum(2, 3), [said('a', depth, 'x'), said('b', depth, 'y')], agree).kind
    expect(judged(LIMITS.UNIT_VALUE_DEPTH_MAX)).toBe('accepted')
    expect(judged(LIMITS.UNIT_VALUE_DEPTH_MAX + 1)).toBe('needs')
    expect(judged(100_000)).toBe('needs')
  })

  test('is symmetric, and everything agrees with itself', () => {
    const tolerance = fc.record({
      absolute: fc.double({ min: 0, max: 10, noNaN: true }),
      relative: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    const json = fc.jsonValue({ maxDepth: 5 }) as fc.Arbitrary<Json>
    fc.assert(
      fc.property(json, json, tolerance, (a, b, allowed) => {
        expect(within(a, a, allowed)).toBe(true)
        expect(within(a, b, allowed)).toBe(within(b, a, allowed))
      }),
    )
  })

  test('of overlapping groups the largest leads, of equals the one with the smallest digest', () => {
    const relation = relationOf({ kind: 'tolerance', absolute: 1, relative: 0 })
    const chain = [value('a', 1), value('b', 2), value('c', 3)]
    expect(leadingGroup(chain, relation, NONE).leading).toEqual({ digest: '#2', size: 3 })
    expect(leadingGroup(chain.slice(0, 2), relation, NONE).leading).toEqual({ digest: '#1', size: 2 })
  })

  test('a value that is no JSON agrees with nothing', () => {
    const broken = voice('a', { ok: true, digest: '#?', value: '{' })
    const tolerant: Agree = { kind: 'tolerance', absolute: 1, relative: 0 }
    expect(judge(quorum(2, 3), [broken, value('b', 1)], tolerant)).toEqual({ kind: 'needs', copies: 1 })
  })
})

test('function: pairs not known are asked for, answers are used whichever way round', () => {
  const voices = [value('a', 1), value('b', 2), value('c', 3)]
  const agree: Agree = { kind: 'function' }
  expect(judge(quorum(2, 4), voices.slice(0, 2), agree)).toEqual({ kind: 'compare', pairs: [['#1', '#2']] })
  const no = new Map([[pairKey('#2', '#1'), false]])
  expect(judge(quorum(2, 4), voices.slice(0, 2), agree, no)).toEqual({ kind: 'needs', copies: 1 })
  expect(judge(quorum(2, 4), voices, agree, no)).toMatchObject({
    kind: 'compare',
    pairs: [expect.anything(), expect.anything()],
  })
  const yes = new Map([...no, [pairKey('#1', '#3'), false], [pairKey('#3', '#2'), true]])
  expect(judge(quorum(2, 4), voices, agree, yes)).toEqual({
    kind: 'accepted',
    digest: '#2',
    agreed: ['b', 'c'],
    against: ['a'],
  })
})
