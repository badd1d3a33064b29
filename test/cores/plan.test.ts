/** Plans: who matches, how far the others are from it, how long it may take. */

import { describe, expect, test } from 'vitest'
import { finishBand, unitRate } from '../../node/jobs/estimate.ts'
import type { Candidate } from '../../node/jobs/matching/expression.ts'
import { relaxationsOf } from '../../node/jobs/matching/relax.ts'
import { planJob } from '../../node/jobs/planner.ts'
import type { Ad } from '../../protocol/ad.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { planRequestSchema, planSchema } from '../../protocol/plan.ts'
import { compileSweep } from '../../protocol/sweep/generator.ts'
import { adOf, policyOf } from './fixture.ts'

const GiB = 1024 ** 3
const peer = (id: string, ad: Partial<Ad> = {}): Candidate => ({
  id,
  role: 'member',
  trust: 'member',
  ad: adOf(id, ad),
})
const relaxed = (require: string, peers: Candidate[], memoryMiB = 256) =>
  relaxationsOf({ require, cpus: 1, memoryMiB }, peers, LIMITS.RELAXATIONS_MAX)

describe('the distance to a match', () => {
  const mesh = [
    peer('big', { memory: 32 * GiB, cpus: 8 }),
    ...Array.from({ length: 9 }, (_, i) => peer(`mid-${i}`, { memory: 12 * GiB, cpus: 8 })),
    peer('small', { memory: 4 * GiB, cpus: 8 }),
  ]

  test('with 12 GiB, 9 more peers qualify; with 4, 10', () => {
    const [near, far] = relaxed('peer.memory >= 16 * GiB', mesh)
    const clause = 'peer.memory >= 16 * GiB'
    expect([near, far]).toEqual(
      expect.arrayContaining([
        { changes: [{ clause, to: 'peer.memory >= 12 * GiB' }], gains: 9 },
        { changes: [{ clause, to: 'peer.memory >= 4 * GiB' }], gains: 10 },
      ]),
    )
  })

  test('what is suggested lets in whom it says', () => {
    const odd = [
      peer('a', { memory: Math.round(11.93 * GiB), cpus: 3, speed: 1.237 }),
      peer('b', { memory: 700 * 1024 ** 2, cpus: 5 }),
    ]
    for (const require of [
      'peer.memory > 12 * GiB',
      '16 * GiB <= peer.memory',
      'peer.cpus < 3',
      'peer.speed * 2.0 >= 3.0',
    ]) {
      for (const { changes, gains } of relaxed(require, odd)) {
        const to = changes[0]?.to ?? ''
        const before = odd.filter((one) => relaxed(require, [one]).length === 0).length
        const after = odd.filter((one) => relaxed(to, [one]).length === 0).length
        expect(`${to}: ${after - before}`).toBe(`${to}: ${gains}`)
      }
    }
  })

  test('an upper bound goes up, to the nearest and to the furthest', () => {
    const large = [peer('a', { cpus: 3 }), peer('b', { cpus: 5 })]
    expect(relaxed('peer.cpus <= 2', large).map(({ changes, gains }) => [changes[0]?.to, gains])).toEqual([
      ['peer.cpus <= 5', 2],
      ['peer.cpus <= 3', 1],
    ])
  })

  test('two bounds that only together keep peers out are moved together', () => {
    expect(relaxed('peer.cpus >= 16 && peer.memory >= 64 * GiB', mesh)[0]).toEqual({
      changes: [
        { clause: 'peer.cpus >= 16', to: 'peer.cpus >= 8' },
        { clause: 'peer.memory >= 64 * GiB', to: 'peer.memory >= 4 * GiB' },
      ],
      gains: 11,
    })
  })

  test('a clause without a bound can only go; what every job needs cannot', () => {
    const others = [peer('mac', { os: 'darwin' }), peer('no-runtime', { runtimes: [] }), peer('idle', { cpus: 0 })]
    expect(relaxed('peer.os == "linux"', others)).toEqual([
      { changes: [{ clause: 'peer.os == "linux"', to: null }], gains: 1 },
    ])
  })

  test('the memory of a unit is a bound as well', () => {
    expect(relaxed('', [peer('a', { memory: 300 * 1024 ** 2 })], 1_024)).toEqual([
      {
        changes: [{ clause: 'offers the 1024 MiB of one unit', to: 'offers the 300 MiB of one unit' }],
        gains: 1,
      },
    ])
  })

  test('a label nobody set is no bound, and there are so many suggestions at most', () => {
    expect(relaxed('int(peer.labels.rank) >= 3', [peer('a')])).toEqual([])
    const kinds = Array.from({ length: 40 }, (_, i) =>
      peer(`p${i}`, { cpus: 1 + (i % 2), speed: 1 + (i % 3), disk: i % 5, memory: (1 + (i % 7)) * GiB }),
    )
    const require = 'peer.cpus >= 2 && peer.speed >= 3 && peer.disk >= 4 && peer.memory >= 7 * GiB'
    expect(relaxed(require, kinds)).toHaveLength(LIMITS.RELAXATIONS_MAX)
  })
})

describe('how long it may take', () => {
  test('the copies of a unit run on different peers: a fast one cannot do both', () => {
    expect(unitRate([1, 1], 1)).toBe(2)
    expect(unitRate([1, 1], 2)).toBe(1)
    expect(unitRate([100, 1], 2)).toBe(1)
    expect(unitRate([3, 3, 3], 2)).toBe(4.5)
    expect(unitRate([100, 2, 2], 2)).toBe(4)
    expect(unitRate([100, 100, 3], 3)).toBe(3)
  })

  const work = { units: 1_000, copies: 1, unitMs: 100, extra: 0, spread: 0 }

  test('free peers alone: units by slots and speed', () => {
    const band = finishBand(work, [
      { slots: 2, freeSlots: 2, speed: 2 },
      { slots: 1, freeSlots: 1, speed: 1 },
    ])
    expect(band?.lowMs).toBe((1_000 * 100) / 5)
    expect(band?.likelyMs).toBeCloseTo(20_000 + 25)
    expect(band?.highMs).toBeCloseTo(20_000 + 100)
  })

  test('busy slots are shared; the band is in order, and never shorter than one unit', () => {
    const busy = [{ slots: 4, freeSlots: 1, speed: 1 }]
    const band = finishBand({ ...work, spread: 0.5, extra: 0.1 }, busy)
    expect(band).toEqual({
      lowMs: expect.closeTo(27_500),
      likelyMs: expect.closeTo(44_050),
      highMs: expect.closeTo(165_150),
    })
    expect(finishBand({ ...work, units: 1 }, [{ slots: 64, freeSlots: 64, speed: 2 }])?.lowMs).toBe(50)
    expect(finishBand({ ...work, copies: 2 }, busy)).toBe(null)
    expect(finishBand(work, [])).toBe(null)
    expect(finishBand(work, [{ slots: 2, freeSlots: 0, speed: 1 }])?.highMs).toBeLessThan(Number.POSITIVE_INFINITY)
  })
})

describe('a plan', () => {
  const standing = { agreed: 0, outvoted: 0, lapsed: 0, faulty: 0 }
  type Facts = { standing?: object; known?: { unitMs: number }; checks?: number }
  function plan(request: object, peers: Candidate[], facts: Facts = {}) {
    return planSchema.parse(
      planJob(
        {
          evidence: {
            standing: () => ({ ...standing, ...facts.standing }),
            creditAt: () => (facts.checks === undefined ? null : { checks: facts.checks, caught: 0, ageMs: 0 }),
          },
          unitTime: () => (facts.known ? { ...facts.known, job: 'a'.repeat(52), units: 40 } : null),
          knownPeers: () => peers,
          compile: (sweep) => compileSweep(sweep, () => new Uint8Array()),
        },
        planRequestSchema.parse({
          sweep: { kind: 'product', axes: [['n', { kind: 'range', from: 0, to: 1_000, step: 1 }]] },
          ...request,
        }),
      ),
    )
  }

  test('units of several cores: so many at once', () => {
    const made = plan({ unitMs: 100, policy: { cpus: 4 } }, [
      peer('a', { cpus: 11, freeSlots: 7 }),
      peer('b', { cpus: 3 }),
    ])
    expect(made.peers).toEqual({ known: 2, matching: 1, paused: 0, slots: 2, freeSlots: 1 })
    expect(made.finish?.lowMs).toBeCloseTo((made.units * 100) / (2 * 1.5))
  })

  test('counts who matches, and says what it assumes', () => {
    const paused = peer('c', { paused: { forMs: 1, returnsInMs: null }, cpus: 8 })
    const made = plan({ unitMs: 100 }, [peer('a', { cpus: 2, freeSlots: 1 }), peer('b', { cpus: 2 }), paused])
    expect(made).toMatchObject({
      units: 1_000,
      peers: { known: 3, matching: 3, paused: 1, slots: 4, freeSlots: 2 },
      blocked: null,
      executions: { likely: 1_000, most: 4_000 },
      unitTime: { ms: 100, from: 'given' },
    })
    expect(made.finish?.lowMs).toBeCloseTo(100_000 / 6)
    expect(made.assumes.join('\n')).toMatch('as fast as their ads say')
  })

  test('takes the time of units from the last job with the task, and guesses nothing without one', () => {
    const task = 'b'.repeat(52)
    expect(plan({ task }, [peer('a')], { known: { unitMs: 7 } }).unitTime).toMatchObject({ ms: 7, from: 'history' })
    expect(plan({ task }, [peer('a')])).toMatchObject({ unitTime: null, finish: null })
  })

  test('expects more executions of peers that were wrong before', () => {
    const quorum = { policy: { verify: { kind: 'quorum', agree: 2, of: 3 }, retries: 1 } }
    const peers = [peer('a'), peer('b')]
    expect(plan(quorum, peers).executions).toEqual({ likely: 2_000, most: 4_000 })
    expect(plan(quorum, peers, { standing: { agreed: 90, outvoted: 10 } }).executions.likely).toBe(2_200)
  })

  const strangers = (count: number) =>
    Array.from({ length: count }, (_, i): Candidate => {
      const id = `s${i}`
      return { id, role: 'stranger', trust: 'stranger', ad: adOf(id, { strangers: true }) }
    })
  const confidence = (collusion: number, goal = 0.999) => ({
    policy: { verify: { kind: 'confidence', goal, collusion } },
  })

  test.each([
    ['strangers whose lies seldom agree: two', 0.01, strangers(60), undefined, 2],
    ['strangers who may plot: five', 1, strangers(60), undefined, 5],
    ['who each survived three checks: two', 1, strangers(60), 3, 2],
    ['who each survived 92: one', 1, strangers(60), 92, 1],
    ['members: two', 1, [peer('a'), peer('b'), peer('c')], undefined, 2],
    ['members after four checks: one', 1, [peer('a'), peer('b'), peer('c')], 4, 1],
  ] as const)('with a confidence of 0.999, %s', (_, collusion, peers, checks, copies) => {
    const made = plan(confidence(collusion), [...peers], checks === undefined ? {} : { checks })
    expect(made.confidence).toMatchObject({ goal: 0.999, collusion, copies })
    // Of few units a peer, nearly all cost what the first do; of known peers one in twenty is checked.
    const known = 1.05 * 1_000
    expect(made.executions.likely).toBeGreaterThanOrEqual(known)
    // Each known peer may be checked once more at the end.
    if (copies === 1) expect(made.executions.likely).toBeLessThan(known + peers.length / 2)
  })

  test('counts what is checked before the end: most of strangers newly believed who gave some hundreds of results', () => {
    const perUnit = (units: number, checks: number, trust: 'member' | 'stranger' = 'stranger') => {
      const sweep = { kind: 'product', axes: [['n', { kind: 'range', from: 0, to: units, step: 1 }]] }
      const peers = trust === 'member' ? [peer('a'), peer('b'), peer('c'), peer('d')] : strangers(4)
      return plan({ ...confidence(0.01), sweep }, peers, { checks }).executions.likely / units
    }
    // 500 units on each: 1 to 3%, as in docs/verification.md; no more once they have survived a hundred checks more, and of members none.
    expect(perUnit(2_000, 92)).toBeGreaterThan(1.06)
    expect(perUnit(2_000, 92)).toBeLessThan(1.08)
    for (const known of [perUnit(2_000, 200), perUnit(2_000, 4, 'member')]) {
      expect(known).toBeGreaterThan(1.05)
      expect(known).toBeLessThan(1.052)
    }
    // What a long sweep withheld was vouched for meanwhile.
    expect(perUnit(8_000, 92)).toBeLessThan(1.052)
  })

  test('the shorter its units, the more copies of others a peer has in its hands when it is believed; those given out at once are taken back', () => {
    const likely = (collusion: number, unitMs: number | null) =>
      plan({ ...confidence(collusion), unitMs }, strangers(10)).executions.likely
    expect(likely(1, 100)).toBeGreaterThan(likely(1, 1_000))
    expect(likely(1, 1_000)).toBeGreaterThan(likely(1, 60_000))
    expect(likely(1, 60_000)).toBe(likely(1, null))
    expect(likely(0.01, 100)).toBe(likely(0.01, null))
  })

  test('says what each assumption costs, and what the goal does not hold for', () => {
    const made = plan(confidence(1), strangers(20))
    const cost = new Map(made.confidence?.costs.map(({ assumption, executions }) => [assumption, executions]))
    const [plotting, apart] = [
      made.executions.likely,
      cost.get('lies of strangers agree one time in a hundred (collusion 0.01)'),
    ]
    expect(apart).toBeLessThanOrEqual(plotting)
    expect(cost.get('each peer has survived 100 checks')).toBe(1_058)
    expect(cost.get('nobody has shown anything yet')).toBe(plotting)
    expect(made.confidence?.limits.join()).toMatch('more may lie than is assumed')
    expect(plan(confidence(1), [...strangers(20), peer('m')]).confidence?.limits.join()).not.toMatch('more may lie')
  })

  test.each([
    ['no-peer', [peer('a', { cpus: 0 })], {}],
    ['no-match', [peer('a')], { require: 'peer.cpus > 9' }],
    ['own-limits', [peer('a', { memory: 1 })], {}],
    ['paused', [peer('a', { paused: { forMs: 1, returnsInMs: 5 } })], {}],
    ['quorum-short', [peer('a')], { verify: { kind: 'quorum', agree: 2, of: 3 } }],
  ])('nothing would run: %s', (reason, peers, policy) => {
    const made = plan({ policy: policyOf(policy), unitMs: 1 }, peers)
    expect(made).toMatchObject({ blocked: { reason }, finish: null })
  })
})
