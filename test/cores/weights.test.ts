import fc from 'fast-check'
import { expect, it } from 'vitest'
import { settingsSchema } from '../../node/config.ts'
import { weightOf } from '../../node/worker/weights.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { Desk } from './fixture.ts'

const shares = settingsSchema.parse({ shares: { peers: { boss: 10 } } }).shares

it('are the owner’s word, by class and by peer', () => {
  expect(weightOf(shares, { id: 'x', role: 'self' }, 0)).toBe(4)
  for (const role of ['admin', 'member', 'worker', 'stranger'] as const) {
    expect(weightOf(shares, { id: 'x', role }, 0)).toBe(1)
    expect(weightOf(shares, { id: 'boss', role }, 0)).toBe(10)
  }
  expect(weightOf(shares, { id: 'constructor', role: 'member' }, 0)).toBe(1)
})

it('rise with work done, within bounds, and never fall below a newcomer’s', () => {
  const weigh = (doneMs: number) => weightOf(shares, { id: 'x', role: 'member' }, doneMs)
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e12 }), fc.integer({ min: 0, max: 1e9 }), (done, more) => {
      expect(weigh(done)).toBeGreaterThanOrEqual(1)
      expect(weigh(done)).toBeLessThanOrEqual(LIMITS.RECIPROCITY_MAX)
      expect(weigh(done + more)).toBeGreaterThanOrEqual(weigh(done))
    }),
  )
  expect(weigh(LIMITS.RECIPROCITY_HALF_MS)).toBe((1 + LIMITS.RECIPROCITY_MAX) / 2)
})

it.each([
  [{ member: LIMITS.SHARE_WEIGHT_MIN / 2 }],
  [{ self: LIMITS.SHARE_WEIGHT_MAX * 2 }],
  [{ peers: { x: 0 } }],
  [{ peers: Object.fromEntries(Array.from({ length: LIMITS.SHARE_PEERS_MAX + 1 }, (_, i) => [`p${i}`, 1])) }],
])('out of bounds are refused', (shares) => {
  expect(settingsSchema.safeParse({ shares }).success).toBe(false)
})

it('count accepted work in slot time, a slow peer’s no more than a fast one’s', () => {
  const desk = new Desk()
  desk.up('fast', 'slow')
  desk.job(10_000)
  const done = { fast: 0, slow: 0 }
  for (let i = 0; i < 1_200; i++) {
    desk.now += 50
    for (const peer of ['fast', 'slow'] as const) {
      if (peer === 'slow' && i % 4 > 0) continue
      done[peer] += 1
      desk.ends(peer, desk.holds(peer).slice(0, 1), '1')
    }
  }
  const served = (peer: string) =>
    desk
      .seen('evidence')
      .filter((effect) => effect.kind === 'served' && effect.peer === peer)
      .reduce((sum, { count }) => sum + count, 0)
  const [fast, slow] = [served('fast') / done.fast, served('slow') / done.slow]
  expect(slow / fast).toBeCloseTo(1, 1)
  expect(fast).toBeGreaterThan(50)
  expect(fast).toBeLessThan(200)
})
