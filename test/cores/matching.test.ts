import { describe, expect, test } from 'vitest'
import { explainMatch } from '../../node/jobs/matching/explain.ts'
import type { Candidate } from '../../node/jobs/matching/expression.ts'
import { compilePolicy } from '../../node/jobs/matching/policy.ts'
import type { Ad } from '../../protocol/ad.ts'
import { isErrorCode, TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { adOf, policyOf } from './fixture.ts'

const GiB = 1024 ** 3

const peer = (id: string, changes: Partial<Ad> = {}, trust: Candidate['trust'] = 'member'): Candidate => ({
  id,
  ad: adOf(id, changes),
  trust,
  role: 'member',
})

const one = peer('one', { cpus: 4, labels: { room: 'b12' } })

describe('require', () => {
  test.each<[string, boolean]>([
    ['', true],
    ['   ', true],
    ['peer.cpus >= 2', true],
    ['peer.cpus >= 2.5', true],
    ['peer.cpus == 4.0', true],
    ['4.0 == peer.cpus', true],
    ['peer.cpus > 4', false],
    ['peer.memory > 10 * TiB', false],
    ['peer.memory >= 8 * GiB', true],
    ['peer.memory > 0.5 * GiB', true],
    ['peer.memory / 2.0 == 4 * GiB', true],
    ['peer.speed > 1', true],
    ['peer.speed == 1.5', true],
    ['peer.speed * peer.cpus == 6', true],
    ['peer.labels.room == "b12"', true],
    ['peer.labels.rack == "r1"', false],
    ['peer.labels.rack != "r1"', false],
    ['!(peer.labels.rack == "r1")', false],
    ['peer.labels.rack == "r1" || peer.cpus > 1', true],
    ['"rack" in peer.labels', false],
    ['has(peer.labels.room)', true],
    ['"js" in peer.runtimes', true],
    ['"wasm" in peer.runtimes', false],
    ['peer.runtimes.exists(r, r.startsWith("j"))', true],
    ['peer.id == "one" && peer.trust == "member" && peer.role == "member"', true],
    ['peer.os == "linux" && peer.arch == "x64" && peer.reach == "dialable" && !peer.strangers', true],
    ['peer.cpus / (peer.cpus - peer.cpus) > 1', false],
  ])('%s: %s', (require, fits) => {
    expect(compilePolicy(policyOf({ require })).misfit(one)).toBe(fits ? null : 'no-match')
  })

  test.each<[string, RegExp]>([
    ['peer.cpus >', /at character 12/],
    ['peer.cpus > 1 && peer.cpuz > 2', /cpuz/],
    ['peer.memory > 10 TiB', /at character/],
    ['peer.cpus + 1', /must be a bool/],
    ['cpus > 1', /cpus/],
    ['peer.cpus > "2"', /no such overload/],
    ['peer.name.matches("(a+)+$")', /matches/],
    ['[1].all(a, [1].all(b, [1].all(c, a > b)))', /loops/],
    [Array.from({ length: 200 }, () => 'true').join(' && '), /./],
    [`"${'x'.repeat(LIMITS.EXPRESSION_MAX_CHARS)}" == ""`, /characters/],
    [`${'('.repeat(40)}true${')'.repeat(40)} && ${'!'.repeat(300)}true`, /./],
  ])('%s is refused', (require, message) => {
    const error = thrownBy(() => compilePolicy({ ...policyOf({}), require }))
    expect(error?.code).toBe('E_EXPRESSION')
    expect(error?.message).toMatch(message)
    expect(isErrorCode(error?.code ?? '')).toBe(true)
  })

  test('the position is told as data too', () => {
    expect(thrownBy(() => compilePolicy(policyOf({ require: 'peer.cpuz > 1' })))?.meta).toEqual({
      field: 'require',
      position: 5,
    })
  })
})

describe('rank', () => {
  test.each<[string, number | null]>([
    ['', null],
    ['peer.cpus', 4],
    ['peer.speed * peer.cpus', 6],
    ['peer.labels.room == "b12" ? 2 : 1', 2],
    ['peer.labels.rack == "r1" ? 2 : 1', null],
    ['1.0 / 0.0', null],
  ])('%s: %s', (rank, value) => {
    expect(compilePolicy(policyOf({ rank })).rank(one)).toBe(value)
  })

  test('must be a number', () => {
    expect(thrownBy(() => compilePolicy(policyOf({ rank: 'peer.name' })))?.message).toMatch(/must be a number/)
  })
})

describe('what every job needs', () => {
  test.each<[string, Candidate, string]>([
    ['memory for one unit', peer('a', { memory: 255 * 1024 ** 2 }), 'own-limits'],
    ['the runtime', peer('a', { runtimes: [] }), 'no-match'],
    ['cores', peer('a', { cpus: 0 }), 'no-cores'],
    ['leave of a stranger', peer('a', {}, 'stranger'), 'untrusted'],
    ['of two, what is harder to mend', peer('a', { memory: 1, runtimes: [] }), 'no-match'],
  ])('%s', (_, candidate, reason) => {
    expect(compilePolicy(policyOf({})).misfit(candidate)).toBe(reason)
  })

  test('cores for one unit', () => {
    const { misfit } = compilePolicy(policyOf({ cpus: 4 }))
    expect([3, 4].map((cpus) => misfit(peer('a', { cpus })))).toEqual(['own-limits', null])
  })

  test('a stranger that runs the work of strangers is one of the peers', () => {
    expect(compilePolicy(policyOf({})).misfit(peer('a', { strangers: true }, 'stranger'))).toBe(null)
  })
})

test('explains clause by clause how many peers are excluded, and left', () => {
  const peers = [
    peer('a', { cpus: 8, memory: 16 * GiB }),
    peer('b', { cpus: 2, memory: 16 * GiB }),
    peer('c', { cpus: 1, memory: GiB / 8 }),
  ]
  const report = explainMatch(
    policyOf({ require: 'peer.cpus >= 2 && (peer.cpus < 8 || peer.id == "z") && peer.memory > 10 * TiB' }),
    peers,
  )
  expect(report).toMatchObject({ peers: 3, matching: 0 })
  expect(report.clauses.filter(({ excludes }) => excludes > 0)).toEqual([
    { clause: 'offers the 256 MiB of one unit', excludes: 1, left: 2 },
    { clause: 'peer.cpus >= 2', excludes: 1, left: 2 },
    { clause: 'peer.cpus < 8 || peer.id == "z"', excludes: 1, left: 1 },
    { clause: 'peer.memory > 10 * TiB', excludes: 3, left: 0 },
  ])
  const wide = explainMatch(policyOf({ cpus: 2 }), peers)
  expect(wide.clauses).toContainEqual({ clause: 'offers the 2 cores of one unit', excludes: 1, left: 2 })
})

function thrownBy(action: () => unknown): TalkootError | null {
  try {
    action()
  } catch (error) {
    if (error instanceof TalkootError) return error
    throw error
  }
  return null
}
