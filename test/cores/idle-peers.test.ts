import { expect, test } from 'vitest'
import { groupsOf, type PeerStanding } from '../../node/jobs/idle-peers.ts'
import { LIMITS } from '../../protocol/limits.ts'

const idle = (peer: string, facts: Partial<PeerStanding>): PeerStanding => ({
  ...{ peer, name: '', units: 0, reason: 'busy', sinceMs: 0, returnsInMs: null, code: null, fetched: null, seat: null },
  ...facts,
})

test('peers are counted by reason, the first back and the longest idle told, some of them named', () => {
  const many = Array.from({ length: 20 }, (_, i) =>
    idle(`p${i}`, { name: i === 0 ? 'oak' : '', reason: 'backoff', sinceMs: i, returnsInMs: 50 - i, code: `E_${i}` }),
  )
  const groups = groupsOf([...many, idle('q', { reason: 'paused', sinceMs: 9 }), idle('w', { reason: null, units: 3 })])
  expect(groups).toMatchObject([
    { reason: 'backoff', peers: 20, sinceMs: 19, returnsInMs: 31 },
    { reason: 'paused', peers: 1, sinceMs: 9, returnsInMs: null, codes: [], names: ['q'] },
  ])
  const fetching = [1, 2].map((bytes) => idle(`f${bytes}`, { reason: 'fetching', fetched: { bytes, of: 10 } }))
  expect(groupsOf(fetching)).toMatchObject([{ reason: 'fetching', fetched: { bytes: 3, of: 20 } }])
  expect(groups[0]?.names).toHaveLength(LIMITS.EXPLAIN_NAMES_MAX)
  expect(groups[0]?.names.slice(0, 2)).toEqual(['oak', 'p1'])
  expect(groups[0]?.codes).toHaveLength(LIMITS.EXPLAIN_NAMES_MAX)
})
