import { describe, expect, test } from 'vitest'
import { createConfidence } from '../../node/jobs/verification/confidence.ts'
import { type Cause, faultOf, type PlacedVoice, Repeatability } from '../../node/jobs/verification/diagnosis.ts'
import { firstDifference } from '../../node/jobs/verification/difference.ts'
import type { JudgedVoice, Voter } from '../../node/jobs/verification/verification.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { equivocator, honest, liar, type Peer, turncoat } from './adversaries.ts'
import { assuming } from './cases.ts'
import { Chance } from './chance.ts'
import { ConfidenceRule } from './confidence-rule.ts'
import { runMesh } from './mesh.ts'
import { EXACT, member, says, stranger } from './voices.ts'

type Job = { peers: Peer[]; f?: number; c?: number; units?: number; warm?: number; platforms?: string[]; seed?: number }

/** Runs a job until it ends or its cause is known; counts the units on which two peers differed. */
function runJob({ peers, f = 0.2, c = 1, units = 2_000, warm = 0, platforms = ['linux'], seed = 1 }: Job) {
  const assumed = assuming(f, c)
  const repeatability = new Repeatability({ assumed })
  const differing = new Set<number>()
  let cause: Cause | null = null
  const placed = (voice: JudgedVoice): PlacedVoice => ({
    ...voice,
    platform: platforms[Number(voice.peer) % platforms.length] ?? '',
  })
  const watch = (unit: number, voices: readonly JudgedVoice[]) => {
    const groups = Map.groupBy(voices.map(placed), ({ said }) => (said.ok ? said.digest : said.code))
    if (groups.size > 1) differing.add(unit)
    cause ??= repeatability.hear(unit, [...groups.values()])
    return cause !== null
  }
  const chance = new Chance(seed)
  const rule = new ConfidenceRule({ peers, units, goal: 0.999, assumed, chance, warm, watch })
  const run = runMesh(rule, peers, units, chance)
  return { cause: cause as Cause | null, disagreements: differing.size, run }
}

/** Each result of this task is another, whoever runs it, on a share of its units. */
const random = (share: number, trust: 'member' | 'stranger' = 'stranger'): Peer => ({
  ...honest(),
  trust,
  answer: ({ unit, chance }) => ((unit * 7919) % 1_000 < share * 1_000 ? 1 + chance.below(1e9) : 0),
})

describe('a task that does not repeat', () => {
  test.each([
    ['strangers', 3, 0.2, random(1)],
    ['strangers', 10, 0.2, random(1)],
    ['strangers', 100, 0.2, random(1)],
    ['members', 4, 0.2, random(1, 'member')],
    ['members, on a third of its units', 30, 0.2, random(0.34, 'member')],
  ])('%s (%d): the job stops within 20 disagreements', (_, count, f, peer) => {
    for (let seed = 1; seed <= 5; seed++) {
      const { cause, disagreements } = runJob({ peers: Array.from({ length: count }, () => peer), f, seed, warm: 100 })
      expect(cause).toMatchObject({ kind: 'not-repeatable' })
      expect(disagreements).toBeLessThanOrEqual(20)
    }
  })

  test.each<[string, Peer[]]>([
    ['one in three always lies, each otherwise', [...many(34, () => equivocator()), ...many(66, () => honest())]],
    ['one in five lies now and then', [...many(20, () => liar(0.1, 0.01)), ...many(80, () => honest())]],
    ['one in five turns at the same moment', [...many(20, () => turncoat(20, 1, 0.01)), ...many(80, () => honest())]],
    ['nobody lies', many(20, () => honest())],
  ])('is not seen where %s', (_, peers) => {
    for (let seed = 1; seed <= 5; seed++) expect(runJob({ peers, f: 0.35, c: 0.01, seed }).cause).toBeNull()
  })
})

describe('a task that repeats on one platform only', () => {
  const onPlatform = (value: number): Peer => ({ ...honest(), answer: () => value })

  test('is seen by the border between those who agree', () => {
    const peers = many(40, (i) => onPlatform(i % 2))
    const { cause } = runJob({ peers, platforms: ['linux x64', 'linux arm64'] })
    expect(cause).toEqual({ kind: 'platform', platforms: ['linux arm64', 'linux x64'] })
  })

  test('is not seen in one liar that says it is of another', () => {
    const peers = [liar(1, 1), ...many(30, () => honest())]
    expect(runJob({ peers, platforms: many(31, (i) => (i === 0 ? 'odd' : 'linux')) }).cause).toBeNull()
  })
})

test(`only the latest ${LIMITS.DIFFERING_UNITS_KEPT_MAX} differing units are kept`, () => {
  const repeatability = new Repeatability({ assumed: assuming(0.49, 1) })
  const pair = (who: Voter): PlacedVoice[][] => [
    [{ ...says('a', 'x', who), platform: '' }],
    [{ ...says('b', 'y', who), platform: '' }],
  ]
  for (let unit = 0; unit < 10 * LIMITS.DIFFERING_UNITS_KEPT_MAX; unit++) {
    // Two peers that never agree: one of them lies, or the task does not repeat. Nobody can say which.
    expect(repeatability.hear(unit, pair(unit % 2 === 0 ? stranger() : member()))).toBeNull()
  }
})

describe('the differing field', () => {
  test.each([
    [{ energy: [1, 2, 3, 4] }, { energy: [1, 2, 3, 5] }, 'result.energy[3]'],
    [{ a: 1, at: '12:00' }, { a: 1, at: '12:01' }, 'result.at'],
    [{ a: 1 }, { a: 1, b: 2 }, 'result.b'],
    [[1, 2], [1], 'result.length'],
    [{ 'two words': { x: null } }, { 'two words': { x: 0 } }, 'result["two words"].x'],
    [1, '1', 'result'],
  ])('of %j and %j: %s', (a, b, path) => {
    expect(firstDifference(a, b)?.path).toBe(path)
    expect(firstDifference(b, a)?.path).toBe(path)
  })

  test('is one that differs by more than is allowed', () => {
    const [a, b] = [
      { x: 1, y: 1 },
      { x: 1.001, y: 2 },
    ]
    expect(firstDifference(a, b, { absolute: 0.01, relative: 0 })).toEqual({ path: 'result.y', a: '1', b: '2' })
    expect(firstDifference(a, a)).toBeNull()
  })

  test('is looked for as deep as values may be, and shown in short', () => {
    const nested = (depth: number) => JSON.parse(`${'['.repeat(depth)}"${'x'.repeat(500)}"${']'.repeat(depth)}`)
    const found = firstDifference(nested(200), [])
    expect(found?.a.length).toBeLessThan(70)
    expect(
      firstDifference(nested(LIMITS.UNIT_VALUE_DEPTH_MAX + 9), nested(LIMITS.UNIT_VALUE_DEPTH_MAX + 8)),
    ).not.toBeNull()
  })
})

describe('what wrong words look like', () => {
  const word = (unit: number, value: string, seconded = 0, again: string | null = null) => ({
    unit,
    value,
    seconded,
    again,
  })

  test.each([
    ['lying', [word(1, 'x'), word(2, 'y')]],
    ['lying', [word(1, 'x', 0, 'x'), word(2, 'y', 0, 'y')]],
    ['lazy', [word(1, 'x'), word(2, 'x'), word(3, 'x')]],
    ['colluding', [word(1, 'x', 2), word(2, 'y', 1)]],
    ['broken', [word(1, 'x', 0, 'right'), word(2, 'y', 0, 'z')]],
  ])('%s', (fault, words) => {
    expect(faultOf(words)).toBe(fault)
  })

  test('nothing wrong, no fault', () => expect(faultOf([])).toBeNull())
})

test('two differing values are no verdict of the judge, however long the watch', () => {
  const judge = createConfidence({ goal: 0.999, agree: EXACT, assumed: assuming(0.2, 1), isChecked: () => false })
  expect(judge.judge([says('a', 'x'), says('b', 'y')], new Map(), 9).kind).toBe('needs')
})

function many<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i))
}
