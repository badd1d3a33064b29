/** Strangers that share an operator or a network: of those one is heard on a unit, where a confidence is asked. */

import { describe, expect, test } from 'vitest'
import { independenceOf } from '../../node/jobs/independence.ts'
import { adOf, Desk } from './fixture.ts'

const CONFIDENCE = { verify: { kind: 'confidence', goal: 0.999, collusion: 0.01 } }

const seen = (desk: Desk) => desk.seen('accepted').map(({ unit, value }) => [unit, value] as const)

describe('strangers that share something', () => {
  const up = (desk: Desk, peer: string, independence: string[], trust: 'stranger' | 'member' = 'stranger') =>
    desk.step({ type: 'peer.up', peer, trust, ad: adOf(peer, { strangers: true }), independence })

  test('are not asked about one unit; who shares nothing is', () => {
    const desk = new Desk()
    up(desk, 'a', ['operator x'])
    up(desk, 'b', ['operator x', 'subnet 1'])
    up(desk, 'c', ['subnet 1'])
    desk.job(1, CONFIDENCE)
    const holders = ['a', 'b', 'c'].filter((peer) => desk.holds(peer).length > 0)
    // b shares with both.
    expect(holders.join()).toMatch(/^(a,c|b)$/)
    for (const peer of holders) desk.endsAll(peer)
    if (holders.length === 1) {
      expect(seen(desk)).toEqual([])
      expect(desk.progress().waiting).toMatchObject([{ reason: 'quorum-short', units: 1 }])
      expect(desk.scheduler.unit('job', 0)?.reason).toBe('quorum-short')
      up(desk, 'd', ['subnet 2'])
      desk.endsAll('d')
    }
    expect(seen(desk)).toEqual([[0, '1']])
  })

  test('a thousand names of one operator decide nothing, members of one do', () => {
    for (const trust of ['stranger', 'member'] as const) {
      const desk = new Desk()
      const peers = Array.from({ length: 40 }, (_, i) => `p${i}`)
      for (const peer of peers) up(desk, peer, ['operator x'], trust)
      desk.job(5, CONFIDENCE)
      for (let i = 0; i < 200 && desk.seen('settled').length === 0; i++) {
        for (const peer of peers) if (desk.holds(peer).length > 0) desk.endsAll(peer)
        desk.pass(10)
      }
      expect(seen(desk)).toHaveLength(trust === 'member' ? 5 : 0)
      // Nobody but the first is run in vain.
      if (trust === 'stranger') expect(desk.progress().executions).toBeLessThanOrEqual(5)
    }
  })

  test('who is believed alone is not kept waiting for a check that nobody could give', () => {
    const desk = new Desk({ credit: () => ({ checks: 5_000, caught: 0, ageMs: 0 }) })
    for (const peer of ['a', 'b']) up(desk, peer, ['operator x'])
    desk.job(200, CONFIDENCE)
    for (let i = 0; i < 400 && seen(desk).length < 200; i++) {
      for (const peer of ['a', 'b']) desk.endsAll(peer)
      desk.pass(10, ['a', 'b'])
    }
    expect(seen(desk)).toHaveLength(200)
  })

  test('nothing of that matters to a quorum', () => {
    const desk = new Desk()
    for (const peer of ['a', 'b']) up(desk, peer, ['operator x'])
    desk.job(1, { verify: { kind: 'quorum', agree: 2, of: 3 } })
    for (const peer of ['a', 'b']) desk.endsAll(peer)
    expect(seen(desk)).toEqual([[0, '1']])
  })
})

describe('what a stranger shares', () => {
  const sharedBy = (address: string, operator?: string) =>
    independenceOf({ ad: { labels: operator === undefined ? {} : { operator } }, address })

  test.each<[string, string[]]>([
    ['/ip4/193.166.3.7/tcp/4001', ['subnet 193.166.3']],
    ['/ip6/2001:708:10:8::7/tcp/4001', ['subnet 2001:708:10']],
    ['/ip6/2001:0708::1/tcp/4001', ['subnet 2001:708:0']],
    ['/ip4/192.168.1.7/tcp/4001', []],
    ['/ip4/127.0.0.1/tcp/4001', []],
    ['/ip4/100.72.1.1/tcp/4001', []],
    ['/ip6/fe80::1/tcp/4001', []],
    ['/ip6/::1/tcp/4001', []],
    ['/dns4/peer.example/tcp/4001', []],
    ['/ip4/193.166.3.7/tcp/4001/p2p/12D3/p2p-circuit', []],
    ['', []],
  ])('%s: %j', (address, shared) => {
    expect(sharedBy(address)).toEqual(shared)
    expect(sharedBy(address, 'x')).toEqual(['operator x', ...shared])
  })
})
