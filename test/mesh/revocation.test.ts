import { expect, test } from 'vitest'
import type { MeshEvent } from '../../node/mesh/mesh.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { memoryMeshStore } from './memory-store.ts'
import { codeOf, deadline, HOUR_MS, sees, startMember, startNode, until } from './nodes.ts'

test('a revoked member is cut off everywhere at once, is told why, and is refused afterwards', async () => {
  const admin = await startNode()
  const second = await startMember(admin, 'admin')
  const store = memoryMeshStore()
  const victim = await startNode({}, store)
  await victim.join(admin.createToken({ uses: 1, ttlMs: HOUR_MS, role: 'member' }).text, deadline())
  await until(() => [admin, second].every((node) => sees(node, victim) && sees(victim, node)))
  const events: MeshEvent[] = []
  for (const node of [second, victim]) node.watch((event) => events.push(event), deadline(60_000))

  const started = performance.now()
  await admin.revokePeer(victim.peerId)
  expect(sees(admin, victim)).toBe(false)
  await until(() => !sees(second, victim) && victim.peers().length === 0)
  // Some milliseconds; not with the next sign of life.
  expect(performance.now() - started).toBeLessThan(LIMITS.PEER_BEAT_MS / 2)
  const left = events.filter((event) => event.type === 'peer.left')
  // Once for each of the three pairs of eyes; a connection redialled in that moment is cut once more.
  expect(left.length).toBeGreaterThanOrEqual(3)
  expect(new Set(left.map(({ code }) => code))).toEqual(new Set(['E_CERT_REVOKED']))

  await victim.stop()
  expect(store.peers()).toEqual([])
  for (const node of [admin, second]) {
    store.rememberPeer({ id: node.peerId, addresses: node.status().addresses })
  }
  await victim.start()
  for (const node of [admin, second]) {
    await until(() => node.refusals().some(({ peer, code }) => peer === victim.peerId && code === 'E_CERT_REVOKED'))
  }
  await until(
    () => victim.refusals().filter(({ code, by }) => code === 'E_CERT_REVOKED' && by === 'theirs').length === 2,
  )
  expect(victim.peers()).toEqual([])
  const { text } = admin.createToken({ uses: 1, ttlMs: HOUR_MS, role: 'member' })
  expect(await codeOf(victim.join(text, deadline()))).toBe('E_CERT_REVOKED')
})

test('a member that was away learns of a revocation from whom it meets first, and keeps it', async () => {
  const admin = await startNode()
  const store = memoryMeshStore()
  const away = await startNode({}, store)
  await away.join(admin.createToken({ uses: 1, ttlMs: HOUR_MS, role: 'member' }).text, deadline())
  await until(() => sees(away, admin))
  const victim = await startMember(admin)
  await until(() => sees(away, victim))
  await away.stop()
  await admin.revokePeer(victim.peerId)
  await away.start()
  await until(() => away.status().revocations === 1)
  expect(store.revocations()).toHaveLength(1)
  await until(() => !sees(away, victim))
})

test('revoking a token with its members cuts off all who joined with it; without them it only ends the token', async () => {
  const admin = await startNode()
  const { text, info } = admin.createToken({ uses: 3, ttlMs: HOUR_MS, role: 'worker' })
  const workers = [await startNode(), await startNode()]
  for (const worker of workers) await worker.join(text, deadline())
  const bystander = await startMember(admin)
  await until(() => admin.peers().length === 3)
  await admin.revokeToken(info.id, { members: false })
  expect(admin.peers()).toHaveLength(3)
  await admin.revokeToken(info.id, { members: true })
  expect(admin.peers().map(({ id }) => id)).toEqual([bystander.peerId])
  expect(await codeOf(admin.revokeToken('unknown', { members: true }))).toBe('E_NOT_FOUND')
})
