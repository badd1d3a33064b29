/** `alike`: the results of one unit come from machines of one class, and all classes work at once. */

import { describe, expect, test } from 'vitest'
import { compilePolicy } from '../../node/jobs/matching/policy.ts'
import { adOf, Desk, policyOf } from './fixture.ts'

const ALIKE = { alike: 'peer.arch', verify: { kind: 'quorum', agree: 2, of: 3 } }

function meshOf(archs: Record<string, string>, trust: 'member' | 'stranger' = 'member'): Desk {
  const desk = new Desk()
  for (const [peer, arch] of Object.entries(archs)) arrive(desk, peer, arch, trust)
  return desk
}

const arrive = (desk: Desk, peer: string, arch: string, trust: 'member' | 'stranger' = 'member') =>
  desk.step({ type: 'peer.up', peer, trust, ad: adOf(peer, { arch, strangers: true }) })

/** Each machine finds what those of its class find. */
function work(desk: Desk, archs: Record<string, string>, rounds = 200): void {
  for (let i = 0; i < rounds && desk.seen('settled').length === 0; i++) {
    for (const [peer, arch] of Object.entries(archs)) desk.ends(peer, desk.holds(peer), arch)
    desk.pass(10, Object.keys(archs))
  }
}

/** Who gave the results of each unit, and of which classes they are. */
const classes = (desk: Desk, archs: Record<string, string>) =>
  desk.seen('accepted').map(({ voices }) => new Set(voices.map(({ peer }) => archs[peer])))

const FOUR = { a: 'x64', b: 'x64', c: 'arm64', d: 'arm64' }

describe('copies of a unit', () => {
  test.each([
    ['with a quorum', ALIKE],
    ['with a confidence', { alike: 'peer.arch', verify: { kind: 'confidence', goal: 0.999, collusion: 0.01 } }],
  ])('go to one class, and both classes work: %s', (_, policy) => {
    const desk = meshOf(FOUR)
    desk.job(60, policy)
    work(desk, FOUR)
    expect(desk.progress().disagreements).toBe(0)
    const found = classes(desk, FOUR)
    expect(found).toHaveLength(60)
    expect(found.every((one) => one.size === 1)).toBe(true)
    expect(new Set(found.flatMap((one) => [...one]))).toEqual(new Set(['x64', 'arm64']))
  })

  test('without it they go anywhere, and disagree', () => {
    const desk = meshOf(FOUR)
    desk.job(60, { ...ALIKE, alike: '' })
    work(desk, FOUR)
    expect(desk.progress().disagreements).toBeGreaterThan(0)
  })

  test('a class too small to agree begins nothing, until another of it comes', () => {
    const archs = { a: 'x64', b: 'x64', odd: 'riscv' }
    const desk = meshOf(archs)
    desk.job(20, ALIKE)
    expect(desk.holds('odd')).toEqual([])
    arrive(desk, 'other', 'riscv')
    work(desk, { ...archs, other: 'riscv' })
    expect(desk.seen('settled')).toHaveLength(1)
    expect(classes(desk, { ...archs, other: 'riscv' }).some((one) => one.has('riscv'))).toBe(true)
  })

  test('where every class is too small nothing runs, and says so', () => {
    const desk = meshOf({ a: 'x64', b: 'arm64' })
    desk.job(5, ALIKE)
    expect(desk.seen('run')).toEqual([])
    expect(desk.progress().waiting).toMatchObject([{ reason: 'quorum-short', units: 5 }])
  })
})

describe('a unit whose machines are gone', () => {
  test('goes to another class, and what comes late from the first counts for nothing', () => {
    const desk = meshOf({ a: 'x64', b: 'x64' })
    desk.job(1, ALIKE)
    expect([desk.holds('a'), desk.holds('b')]).toEqual([[0], [0]])
    arrive(desk, 'c', 'arm64')
    arrive(desk, 'd', 'arm64')
    desk.down('a')
    desk.down('b')
    expect([desk.holds('c'), desk.holds('d')]).toEqual([[0], [0]])
    arrive(desk, 'a', 'x64')
    desk.ends('a', [0], 'x64')
    desk.ends('c', [0], 'arm64')
    desk.ends('d', [0], 'arm64')
    const [accepted] = desk.seen('accepted')
    expect(accepted?.value).toBe('arm64')
    expect(accepted?.voices.map(({ peer }) => peer).toSorted()).toEqual(['c', 'd'])
  })

  test('waits for its class while one of it has spoken', () => {
    const desk = meshOf({ a: 'x64', b: 'x64' })
    desk.job(1, ALIKE)
    desk.endsAll('a', 'x64')
    desk.down('b')
    arrive(desk, 'c', 'arm64')
    arrive(desk, 'd', 'arm64')
    expect([...desk.holds('c'), ...desk.holds('d')]).toEqual([])
    expect(desk.scheduler.unit('job', 0)?.reason).toBe('quorum-short')
    arrive(desk, 'e', 'x64')
    desk.endsAll('e', 'x64')
    expect(desk.seen('accepted')).toHaveLength(1)
  })
})

describe('the expression', () => {
  const candidate = (labels: Record<string, string>) =>
    ({ id: 'p', role: 'member', trust: 'member', ad: adOf('p', { labels }) }) as const
  const matched = (alike: string) => compilePolicy({ ...policyOf({}), alike })

  test('is a text of several facts, a label among them', () => {
    const { alike } = matched('peer.os + " " + peer.arch + " " + peer.labels.cpu')
    expect(alike(candidate({ cpu: 'avx2' }))).toBe('linux x64 avx2')
    // Those of which it is not known are one class.
    expect(alike(candidate({}))).toBe('')
    expect(matched('').alike(candidate({}))).toBe('')
  })

  test('of another type is refused', () => {
    expect(() => matched('peer.cpus')).toThrow(expect.objectContaining({ code: 'E_EXPRESSION' }))
    expect(() => matched('peer.arch ==')).toThrow(expect.objectContaining({ code: 'E_EXPRESSION' }))
  })
})
