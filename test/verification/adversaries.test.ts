import { describe, expect, test } from 'vitest'
import { createConfidence } from '../../node/jobs/verification/confidence.ts'
import { ASSUMED } from '../../node/jobs/verification/credit.ts'
import type { Verification } from '../../node/jobs/verification/verification.ts'
import type { Peer } from './adversaries.ts'
import * as adversaries from './adversaries.ts'
import { assuming } from './cases.ts'
import { Chance } from './chance.ts'
import { ConfidenceRule } from './confidence-rule.ts'
import { interval } from './interval.ts'
import { runMesh } from './mesh.ts'
import { EXACT } from './voices.ts'

const GOAL = 0.999
const PEERS = 100

type Mesh = { bad: Peer[]; perPeer?: number; f?: number; c?: number; members?: number; seed?: number }

function run({ bad, perPeer = 100, f = 0.2, c = 1, members = 0, seed = 1 }: Mesh, verification?: Verification) {
  const chance = new Chance(seed)
  const good = many(PEERS - bad.length, (i): Peer => {
    return { ...adversaries.honest(), trust: i < members ? 'member' : 'stranger' }
  })
  const peers = [...bad, ...good]
  chance.shuffle(peers)
  const units = PEERS * perPeer
  const init = { peers, units, goal: GOAL, assumed: assuming(f, c), chance }
  const rule = new ConfidenceRule(verification === undefined ? init : { ...init, verification })
  const outcome = runMesh(rule, peers, units, chance)
  const liars = rule.seats.filter(({ peer }) => !peer.honest)
  return { ...outcome, rule, liars, perUnit: outcome.executions / units }
}

const many = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

/** As many as are checked by chance. */
const checkedNow = (unit: number) => new Chance(unit).hit(ASSUMED.checkShare)

const tooMany = (wrong: number, accepted: number) => interval(wrong, accepted).low > 1 - GOAL

/** Twenty of a hundred are at fault; whether all of them must be found out. */
const KINDS: [string, () => Peer[], { found: boolean }][] = [
  ['always liars', () => many(20, () => adversaries.liar(1, 1)), { found: true }],
  ['random liars, one result in ten', () => many(20, () => adversaries.liar(0.1, 1)), { found: true }],
  ['random liars, one result in a hundred', () => many(20, () => adversaries.liar(0.01, 1)), { found: false }],
  ['earn, then cheat', () => many(20, () => adversaries.turncoat(120, 1, 1)), { found: true }],
  ['selective by unit', () => many(20, () => adversaries.selective(0.05)), { found: true }],
  ['lazy: one value for all', () => many(20, () => adversaries.lazy()), { found: true }],
  ['equivocators', () => many(20, () => adversaries.equivocator()), { found: true }],
  ['broken machines', () => many(20, () => adversaries.broken(0.05)), { found: true }],
  ['slow poison: refuse in the end', () => many(20, () => adversaries.refuser(60)), { found: false }],
  ['sybils of one operator', () => adversaries.sybils(20, 1), { found: true }],
  [
    'colluders that lie wherever they can',
    () => adversaries.colluders(20, { boldness: 1, partners: 1 }),
    { found: true },
  ],
  [
    'colluders that lie where two meet',
    () => adversaries.colluders(20, { boldness: 1, partners: 2 }),
    { found: false },
  ],
  [
    'colluders that lie where they are three',
    () => adversaries.colluders(20, { boldness: 1, partners: 3 }),
    { found: false },
  ],
]

describe('one peer in five at fault, goal 0.999, all lies taken to agree', () => {
  test.each(KINDS)('%s', (_, make, { found }) => {
    let [wrong, accepted] = [0, 0]
    for (let seed = 1; seed <= 3; seed++) {
      const outcome = run({ bad: make(), perPeer: 200, seed })
      wrong += outcome.wrong
      accepted += outcome.accepted
      expect(outcome.accepted + outcome.failed).toBe(outcome.units)
      expect(outcome.failed).toBe(0)
      if (found) expect(outcome.caught).toBe(20)
    }
    expect(tooMany(wrong, accepted)).toBe(false)
  })

  test('honest peers that err once in a thousand results are not taken for liars for good', () => {
    const { rule, wrong, accepted } = run({ bad: many(20, () => adversaries.glitchy(0.001)) })
    expect(tooMany(wrong, accepted)).toBe(false)
    for (const seat of rule.seats) expect(seat.credit.caught).toBeLessThanOrEqual(2)
  })
})

describe('earn, then cheat', () => {
  test.each([
    [100, 1],
    [100, 0.3],
    [100, 0.1],
  ])(
    'right for %d results, then lying at rate %d: of no cheater is one result in twenty accepted wrong before it is caught',
    (after, rate) => {
      for (let seed = 1; seed <= 6; seed++) {
        const bad = many(5, () => adversaries.turncoat(after, rate, 1))
        const { liars, wrong, caught } = run({ bad, perPeer: 500, seed })
        if (caught === 5) expect(wrong).toBe(0)
        for (const { lies, turns } of liars) expect(lies / turns).toBeLessThan(0.05)
      }
    },
  )

  test('turning with its last results is found by the checks that close the job', () => {
    for (let seed = 1; seed <= 3; seed++) {
      const bad = many(5, () => adversaries.turncoat(130, 1, 1))
      const { wrong, caught } = run({ bad, perPeer: 115, seed })
      expect([wrong, caught]).toEqual([0, 5])
    }
  })
})

describe('colluders', () => {
  test('with members among the voices the goal holds at one stranger in five colluding', () => {
    for (const partners of [1, 2, 3]) {
      const bad = adversaries.colluders(20, { boldness: 1, partners })
      const { wrong, accepted } = run({ bad, members: 20, seed: partners })
      expect(tooMany(wrong, accepted)).toBe(false)
    }
  })

  test('who hold every copy at once lie where they alone decide: the first copy goes out alone for that', () => {
    const bad = () => adversaries.colluders(30, { boldness: 0.1, partners: 2 })
    const real = createConfidence({ goal: GOAL, agree: EXACT, assumed: assuming(0.3, 1), isChecked: () => false })
    const together: Verification = { ...real, opening: (_, first, next) => allAtOnce(real, first, next) }
    const count = (verification: Verification) =>
      many(4, (i) => run({ bad: bad(), f: 0.3, seed: i + 1 }, verification)).reduce((sum, { wrong }) => sum + wrong, 0)
    const [alone, atOnce] = [count(real), count(together)]
    expect(atOnce).toBeGreaterThan(3 * alone)
  })
})

function allAtOnce(
  real: Verification,
  ...[, next]: Parameters<NonNullable<Verification['opening']>> extends [number, ...infer Rest] ? Rest : never
): number {
  const verdict = real.judge([], new Map(), 99, { unit: 0, next })
  return verdict.kind === 'needs' ? verdict.copies : 1
}

describe('what it costs at one liar in five, goal 0.999, two lies agreeing one time in a hundred', () => {
  test.each([
    [20, 2.04],
    [100, 1.48],
    [1_000, 1.15],
  ])('%d units a peer: at most %d executions a unit, no honest peer lost', (perPeer, most) => {
    for (const rate of [0.01, 0.1, 1]) {
      const { perUnit, wrong, accepted, honestLost } = run({
        bad: many(20, () => adversaries.liar(rate, 0.01)),
        perPeer,
        c: 0.01,
      })
      expect(perUnit).toBeLessThan(most)
      expect(tooMany(wrong, accepted)).toBe(false)
      expect(honestLost).toBe(0)
    }
  })

  test('members cost the check share and a few first checks', () => {
    const { perUnit } = run({ bad: [], members: PEERS, perPeer: 500 })
    expect(perUnit).toBeLessThan(1 + ASSUMED.checkShare + 0.02)
  })
})

describe('bugs put in on purpose go red', () => {
  test('no word is withheld: who turns when it is first believed has more than 5% accepted', () => {
    const judge = createConfidence({ goal: GOAL, agree: EXACT, assumed: assuming(0.2, 1), isChecked: checkedNow })
    const hasty: Verification = {
      ...judge,
      judge: (voices, answers, others, about) =>
        judge.judge(voices, answers, others, { unit: 0, ...about, final: true }),
    }
    let [lies, turns] = [0, 0]
    for (let seed = 1; seed <= 10; seed++) {
      const { liars } = run({ bad: many(5, () => adversaries.turncoat(100, 1, 1)), perPeer: 200, seed }, hasty)
      for (const seat of liars) {
        lies += seat.lies
        turns += seat.turns
      }
    }
    expect(lies / turns).toBeGreaterThan(0.05)
  })

  const real = (init: { f?: number; checked?: boolean } = {}) =>
    createConfidence({ goal: GOAL, agree: EXACT, assumed: assuming(init.f ?? 0.2, 0.01), isChecked: () => false })

  test('no checks of what one word would do for: those that turn are not caught until the end', () => {
    const mesh = () => ({ bad: many(5, () => adversaries.turncoat(150, 0.3, 0.01)), perPeer: 400, c: 0.01 })
    const given = ({ liars }: ReturnType<typeof run>) => liars.reduce((sum, seat) => sum + seat.turns, 0) / 5
    expect(given(run(mesh()))).toBeLessThan(250)
    expect(given(run(mesh(), real()))).toBeGreaterThan(350)
  })

  test('a history that counts a thousandfold: slow liars get through', () => {
    const judge = real()
    const credulous: Verification = {
      ...judge,
      judge: (voices, ...rest) =>
        judge.judge(
          voices.map((voice) => ({ ...voice, credit: { checks: 1_000 * (voice.credit?.checks ?? 0), caught: 0 } })),
          ...rest,
        ),
    }
    const { wrong, accepted } = run({ bad: many(20, () => adversaries.liar(0.1, 0.01)), c: 0.01 }, credulous)
    expect(tooMany(wrong, accepted)).toBe(true)
  })

  test('sybils that count each for one: they outvote', () => {
    const judge = createConfidence({ goal: GOAL, agree: EXACT, assumed: assuming(0.2, 1), isChecked: () => false })
    const blind: Verification = {
      ...judge,
      judge: (voices, ...rest) =>
        judge.judge(
          voices.map((voice) => ({ ...voice, independence: [voice.peer] })),
          ...rest,
        ),
    }
    const mesh = { bad: adversaries.sybils(60, 1), f: 0.2, perPeer: 20 }
    expect(run(mesh).wrong).toBeLessThan(run(mesh, blind).wrong)
  })
})
