import { expect, test } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { adOf, Desk, QUORUM } from './fixture.ts'

test('a silent peer is dropped after LEASE_MS, its units go elsewhere, and it is remembered', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(1)
  expect(desk.holds('a')).toEqual([0])
  desk.up('b')
  desk.pass(LIMITS.LEASE_MS - 1, ['b'])
  expect(desk.seen('drop')).toEqual([])
  desk.pass(200, ['b'])
  expect(desk.seen('drop')).toEqual([{ type: 'drop', peer: 'a', code: 'E_LEASE_LAPSED' }])
  expect(desk.seen('evidence')).toEqual([
    { type: 'evidence', peer: 'a', job: 'job', unit: null, kind: 'lapsed', count: 1 },
  ])
  expect(desk.holds('b')).toEqual([0])
})

test('anything a peer says is a sign of life', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(100)
  for (let i = 0; i < 10; i++) {
    desk.pass(LIMITS.LEASE_MS / 2)
    desk.ends('a', desk.holds('a').slice(0, 1), '1')
  }
  expect(desk.seen('drop')).toEqual([])
})

test('a result that comes after its lease lapsed still counts, once', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(400)
  expect(desk.holds('a')).toContain(0)
  desk.pass(LIMITS.LEASE_MS + 200)
  desk.up('b')
  while (!desk.holds('b').includes(0)) desk.ends('b', desk.holds('b').slice(0, 1), '1')
  const before = desk.progress()
  desk.ends('a', [0], '7')
  expect(desk.seen('accepted').at(-1)).toMatchObject({ unit: 0, value: '7', attempts: 1 })
  expect(desk.holds('b')).not.toContain(0)
  for (const peer of ['b', 'b', 'a']) desk.ends(peer, [0], '8')
  expect(desk.progress()).toMatchObject({ accepted: before.accepted + 1, executions: before.executions + 2 })
})

test('a peer that comes back gets units again, and a second session ends the first', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(1)
  desk.down('a')
  expect(desk.progress().waiting).toMatchObject([{ reason: 'no-peer', units: 1 }])
  desk.up('a')
  expect(desk.holds('a')).toEqual([0])
  desk.held.clear()
  desk.up('a')
  expect(desk.holds('a')).toEqual([0])
})

test('units handed back go elsewhere, count no attempt, and bring a rest that doubles', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(1, { retries: 0 })
  const rests: number[] = []
  for (let i = 0; i < 8; i++) {
    expect(desk.holds('a')).toEqual([0])
    desk.held.clear()
    desk.step({ type: 'handback', peer: 'a', job: 'job', units: [0], code: 'E_DRAINING' })
    expect(desk.progress().waiting).toMatchObject([{ reason: 'backoff', units: 1 }])
    const { rest } = desk.seat('a')
    expect(rest?.code).toBe('E_DRAINING')
    rests.push((rest?.until ?? 0) - desk.now)
    desk.pass((rest?.until ?? 0) - desk.now, ['a'])
  }
  for (let i = 1; i < 6; i++) expect(rests[i]).toBeGreaterThan(1.5 * (rests[i - 1] ?? 0))
  expect(Math.max(...rests)).toBeLessThanOrEqual(1.25 * LIMITS.PEER_BACKOFF_MAX_MS)
  desk.endsAll('a')
  expect(desk.seen('accepted')).toMatchObject([{ attempts: 1 }])
})

test('a refusal for want of room is retried when the peer says, one for good only when its ad changes', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(1)
  desk.held.clear()
  desk.step({ type: 'job.refused', peer: 'a', job: 'job', code: 'E_BUSY', retryAfterMs: 5_000 })
  desk.pass(4_900, ['a'])
  expect(desk.holds('a')).toEqual([])
  desk.pass(2_000, ['a'])
  expect(desk.holds('a')).toEqual([0])

  desk.held.clear()
  desk.step({ type: 'job.refused', peer: 'a', job: 'job', code: 'E_OWN_LIMITS', retryAfterMs: null })
  desk.pass(600_000, ['a'])
  expect(desk.progress().waiting).toMatchObject([{ reason: 'own-limits', units: 1 }])
  desk.step({ type: 'peer.ad', peer: 'a', ad: adOf('a', { seq: 2, freeSlots: 0 }) })
  expect(desk.holds('a')).toEqual([])
  desk.step({ type: 'peer.ad', peer: 'a', ad: adOf('a', { seq: 3, memory: 2 ** 40 }) })
  expect(desk.holds('a')).toEqual([0])
})

test('a peer that lives but ends nothing loses its units after the timeout of one', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(1, { timeoutMs: 5_000 })
  desk.pass(14_000, ['a'])
  expect(desk.holds('a')).toEqual([0])
  desk.pass(4_000, ['a'])
  expect(desk.seen('revoke')).toEqual([{ type: 'revoke', peer: 'a', job: 'job', units: [0] }])
  expect(desk.holds('a')).toEqual([0])
})

test('what a peer says of units it was never given is not heard', () => {
  const desk = new Desk()
  desk.up('a', 'b')
  desk.job(1, QUORUM)
  desk.up('c')
  desk.ends('c', [0], 'lie')
  desk.ends('nobody', [0], 'lie')
  desk.ends('c', [77, -1, 0.5], 'lie')
  desk.endsAll('a', '1')
  desk.endsAll('b', '1')
  expect(desk.seen('accepted')).toMatchObject([
    { value: '1', voices: [{ peer: expect.any(String) }, { peer: expect.any(String) }] },
  ])
  expect(desk.progress().executions).toBe(2)
})
