import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { credibility, tallyOf } from '../../node/jobs/verification/credibility.ts'
import { errorRate } from '../../node/jobs/verification/credit.ts'
import type { JudgedVoice, Voter } from '../../node/jobs/verification/verification.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Agree } from '../../protocol/manifest.ts'
import { assuming } from './cases.ts'
import { confidence, fails, judged, member, says, stranger, voicesTaken } from './voices.ts'

describe('what the formula needs, at one liar in five and goal 0.999', () => {
  test.each<[string, number, Voter, number]>([
    ['lies agree one time in a hundred, no history', 0.01, stranger(), 2],
    ['all lies agree, no history', 1, stranger(), 5],
    ['all lies agree, one check each', 1, stranger(1), 4],
    ['all lies agree, two checks each', 1, stranger(2), 3],
    ['all lies agree, three checks each', 1, stranger(3), 2],
    ['91 checks', 1, stranger(91), 2],
    ['92 checks', 1, stranger(92), 1],
    ['members: three checks', 1, member(3), 2],
    ['members: four checks', 1, member(4), 1],
    ['the own machine', 1, { trust: 'self' }, 1],
  ])('%s', (_, c, who, copies) => {
    expect(voicesTaken(confidence({ c }), who)).toBe(copies)
    expect(judged(confidence({ c }), [], { unit: 0, next: who })).toEqual({ kind: 'needs', copies })
  })
})

describe('credibility', () => {
  /** The sum over every hypothesis, written out: which group is right, or none. */
  function byHand(groups: JudgedVoice[][], f: number, c: number): number {
    const assumed = assuming(f, c)
    const bad = (group: JudgedVoice[]) =>
      group.reduce((p, voice) => p * errorRate(voice, assumed), c ** (group.length - 1))
    const good = (group: JudgedVoice[]) => group.reduce((p, voice) => p * (1 - errorRate(voice, assumed)), 1)
    const right = groups.map((_, a) => groups.reduce((p, group, b) => p * (a === b ? good(group) : bad(group)), 1))
    const none = groups.reduce((p, group) => p * bad(group), 1)
    return (right[0] ?? 0) / right.reduce((sum, p) => sum + p, none)
  }

  test.each([
    [0.2, 1],
    [0.2, 0.01],
    [0.35, 0.3],
    [0.05, 0.01],
  ])('is that of every hypothesis summed, f = %d, c = %d', (f, c) => {
    const a = [says('a', 'x', stranger(7)), says('b', 'x', stranger()), says('c', 'x', stranger(40, 1))]
    const b = [says('d', 'y', stranger(2)), says('e', 'y', stranger())]
    const d = [says('f', 'z', stranger(300))]
    for (const groups of [[a], [b, a], [a, b, d], [d, b]]) {
      const [lead, ...rivals] = groups.map((group) => tallyOf(group, assuming(f, c)))
      if (lead === undefined) throw new RangeError('no group')
      expect(credibility(lead, rivals)).toBeCloseTo(byHand(groups, f, c), 12)
    }
  })

  test('strangers of one operator are one voice, the most credible; members speak for themselves', () => {
    const assumed = assuming(0.2, 1)
    const alone = tallyOf([says('a', 'x', stranger(5))], assumed)
    const sybils = [
      says('a', 'x', stranger(5), 'op'),
      says('b', 'x', stranger(), 'op'),
      says('c', 'x', stranger(1), 'op'),
    ]
    expect(tallyOf(sybils, assumed)).toEqual(alone)
    expect(tallyOf(sybils.toReversed(), assumed)).toEqual(alone)
    expect(tallyOf([says('a', 'x', member(), 'lab'), says('b', 'x', member(), 'lab')], assumed).voices).toBe(2)
  })

  test('of strangers that share an operator or a subnet one is heard, in whatever order', () => {
    const assumed = assuming(0.2, 1)
    const shares = (peer: string, independence: string[], checks = 0) => ({
      ...says(peer, 'x', stranger(checks)),
      independence,
    })
    const group = [
      shares('a', ['op', 'net 1'], 9),
      shares('b', ['op', 'net 2']),
      shares('c', ['net 2']),
      shares('d', []),
    ]
    for (const order of [group, group.toReversed()]) expect(tallyOf(order, assumed).voices).toBe(3)
  })

  test('a hundred names of one operator never reach the goal', () => {
    const sybils = Array.from({ length: 20 }, (_, i) => says(`s${i}`, 'lie', stranger(), 'op'))
    expect(judged(confidence(), sybils)).toMatchObject({ kind: 'needs' })
  })

  test('who was caught counts for nothing', () => {
    expect(judged(confidence(), [says('a', 'x', stranger(0, 1))])).toMatchObject({ kind: 'needs', copies: 5 })
  })
})

describe('verdicts', () => {
  test('a word that would do alone gets a second where the unit is checked, before it is accepted', () => {
    const [warm, checked] = [says('a', 'x', stranger(500)), confidence({ checked: true })]
    expect(judged(confidence(), [warm])).toMatchObject({ kind: 'accepted', checked: [] })
    expect(judged(checked, [warm])).toMatchObject({ kind: 'needs', copies: 1 })
    expect(judged(confidence(), [warm], { unit: 0, check: true })).toMatchObject({ kind: 'needs', copies: 1 })
    expect(judged(checked, [warm, says('b', 'x')])).toMatchObject({ kind: 'accepted', checked: ['a', 'b'] })
  })

  test('the word of a stranger newly believed alone is withheld until later ones are confirmed', () => {
    const fresh = says('a', 'x', stranger(95))
    expect(judged(confidence(), [fresh])).toEqual({ kind: 'withheld' })
    expect(judged(confidence(), [{ ...fresh, vouched: true }])).toMatchObject({ kind: 'accepted' })
    expect(judged(confidence(), [fresh, says('b', 'x')])).toMatchObject({ kind: 'accepted', checked: ['a', 'b'] })
    expect(judged(confidence(), [fresh], { unit: 0, final: true })).toMatchObject({ kind: 'accepted' })
    expect(judged(confidence(), [fresh], undefined, 0)).toMatchObject({ kind: 'accepted' })
    expect(judged(confidence(), [says('a', 'x', stranger(200))])).toMatchObject({ kind: 'accepted' })
    expect(judged(confidence(), [says('m', 'x', member(5))])).toMatchObject({ kind: 'accepted' })
    // Other names of its operator are no check.
    const names = [says('a', 'x', stranger(95), 'op'), says('b', 'x', stranger(95), 'op')]
    expect(judged(confidence(), names)).toEqual({ kind: 'withheld' })
    // Nor do they take from a word that did without history: of names the most credible then speaks.
    const [word, turncoat] = [says('a', 'x', stranger(), 'op'), says('b', 'x', stranger(43, 1), 'op')]
    expect(judged(confidence({ goal: 0.9, f: 0.01 }), [word])).toMatchObject({ kind: 'accepted' })
    expect(judged(confidence({ goal: 0.9, f: 0.01 }), [word, turncoat])).toMatchObject({ kind: 'accepted' })
  })

  test('nobody to check it: it is accepted on the one word', () => {
    expect(judged(confidence({ checked: true }), [says('a', 'x', stranger(500))], undefined, 0).kind).toBe('accepted')
  })

  test('one word, however good, is not enough against another', () => {
    const voices = [says('a', 'x', stranger(10_000)), says('b', 'y')]
    expect(judged(confidence(), voices).kind).toBe('needs')
    expect(judged(confidence(), [...voices, says('c', 'x')])).toMatchObject({ kind: 'accepted', against: ['b'] })
  })

  test('a failure of the program must be seen by two, where there are two', () => {
    const warm = stranger(500)
    expect(judged(confidence(), [fails('a', 'E_TASK_THREW', warm)])).toMatchObject({ kind: 'needs', copies: 1 })
    const twice = [fails('a', 'E_TASK_THREW', warm), fails('b', 'E_TASK_THREW', warm)]
    expect(judged(confidence(), twice)).toMatchObject({ kind: 'failed', agreed: ['a', 'b'] })
    expect(judged(confidence(), [fails('a', 'E_TASK_THREW', warm)], undefined, 0).kind).toBe('failed')
  })

  test('that two newcomers report one failure is worth less than that they find one value', () => {
    const independent = confidence({ c: 0.01 })
    expect(judged(independent, [says('a', 'x'), says('b', 'x')]).kind).toBe('accepted')
    expect(judged(independent, [fails('a', 'E_MEMORY'), fails('b', 'E_MEMORY')]).kind).toBe('needs')
  })

  test('agreement that only lacks a little history can wait for it, but not where all lies agree', () => {
    const pair = [says('a', 'x'), says('b', 'x')]
    const strict = confidence({ goal: 0.9999, c: 0.01 })
    expect(judged(strict, pair)).toMatchObject({ kind: 'needs', copies: 1, later: true, checked: ['a', 'b'] })
    expect(judged(strict, [says('a', 'x', stranger(2)), says('b', 'x', stranger(2))]).kind).toBe('accepted')
    expect(judged(strict, [...pair, says('c', 'y')])).toMatchObject({ kind: 'needs', later: false, checked: [] })
    const four = ['a', 'b', 'c', 'd'].map((peer) => says(peer, 'x'))
    expect(judged(confidence({ c: 1 }), four)).toMatchObject({ kind: 'needs', copies: 1, later: false })
  })

  test(`no unit asks for more than ${LIMITS.UNIT_VOICES_MAX} voices`, () => {
    const split = Array.from({ length: LIMITS.UNIT_VOICES_MAX - 2 }, (_, i) => says(`p${i}`, i % 2 === 0 ? 'x' : 'y'))
    expect(judged(confidence(), split).kind).toBe('impossible')
    expect(judged(confidence({ f: 0.499 }), []).kind).toBe('needs')
    expect(voicesTaken(confidence({ f: 0.5 }), stranger())).toBeNull()
  })
})

describe('tolerance', () => {
  const agree: Agree = { kind: 'tolerance', absolute: 1, relative: 0 }
  const tolerant = confidence({ agree, c: 0.01 })

  test('values near one another are one group; its centre is accepted', () => {
    const verdict = judged(tolerant, [says('a', '1'), says('b', '2'), says('c', '3')])
    expect(verdict).toMatchObject({ kind: 'accepted', digest: '2', against: [] })
  })

  test('a voice counts in one group only: what the leader left over stands against it', () => {
    const verdict = judged(tolerant, [says('a', '1'), says('b', '2'), says('c', '2.5'), says('d', '9')])
    expect(verdict).toMatchObject({ kind: 'accepted', digest: '2', agreed: ['b', 'a', 'c'], against: ['d'] })
  })

  test('values that must be compared first are asked for', () => {
    const verdict = judged(confidence({ agree: { kind: 'function' } }), [says('a', 'y'), says('b', 'x')])
    expect(verdict).toEqual({ kind: 'compare', pairs: [['x', 'y']] })
  })
})

describe('copies to give out at first', () => {
  const opening = (c: number, first: Voter, next: Voter, checked = false) =>
    confidence({ c, checked }).opening?.(0, first, next)

  test.each<[string, number | undefined, number]>([
    ['newcomers, lies apart: two at once', opening(0.01, stranger(), stranger()), 2],
    [
      'newcomers, all lies agree: five at once, all five colluding is unlikely enough',
      opening(1, stranger(), stranger()),
      5,
    ],
    [
      'with history, all lies agree: one must speak before it knows who follows',
      opening(1, stranger(3), stranger(3)),
      1,
    ],
    ['known well: one', opening(1, stranger(92), stranger()), 1],
    ['known well, but the unit is checked: two', opening(0.01, stranger(92), stranger(), true), 2],
    [
      'the same where all lies agree: one, and another when it has spoken',
      opening(1, stranger(92), stranger(), true),
      1,
    ],
  ])('%s', (_, copies, expected) => {
    expect(copies).toBe(expected)
  })
})

test('voices that will be enough once they have survived more checks are waited for, also where no further voices would do', () => {
  const judge = confidence({ goal: 0.9999, f: 0.001, c: 0.8617 })
  const caught = stranger(0, 1)
  const about = { unit: 0, next: caught }
  const heard = [says('first', 'x', member()), ...Array.from({ length: 5 }, (_, i) => says(`more ${i}`, 'x', caught))]
  expect(judged(judge, heard.slice(0, 1), about)).toMatchObject({ kind: 'needs', later: false })
  expect(judged(judge, heard, about)).toMatchObject({ kind: 'needs', copies: 1, later: true })
})

test('the code that decides can be held beside the paper: under 600 lines', () => {
  const files = ['verification', 'agreement', 'credit', 'credibility', 'confidence', 'book']
  const lines = files.flatMap((file) => {
    const url = new URL(`../../node/jobs/verification/${file}.ts`, import.meta.url)
    return readFileSync(url, 'utf8').split('\n')
  })
  expect(lines.length).toBeLessThan(600)
})
