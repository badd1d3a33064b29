import { expect, test } from 'vitest'
import { codeOf, deadline, HOUR_MS, sees, startMember, startNode, until } from './nodes.ts'

const startOpen = () => startNode({ found: { kind: 'open', name: 'commons' } })

test('an open mesh lets strangers in by invitation, beside members with certificates', async () => {
  const founder = await startOpen()
  const stranger = await startNode()
  await stranger.join(founder.invite(), deadline())
  await until(() => sees(stranger, founder) && sees(founder, stranger))
  expect(founder.peers()).toMatchObject([{ id: stranger.peerId, role: 'stranger' }])
  expect(stranger.peers()).toMatchObject([{ id: founder.peerId, role: 'admin' }])
  expect(stranger.status()).toMatchObject({ role: 'stranger', mesh: { kind: 'open', name: 'commons' } })

  const member = await startMember(founder)
  await until(() => sees(stranger, member) && sees(member, stranger))
  expect(stranger.peers().find(({ id }) => id === member.peerId)?.role).toBe('member')
})

test('a stranger invites strangers, admits no members, and may become a member itself', async () => {
  const founder = await startOpen()
  const stranger = await startNode()
  await stranger.join(founder.invite(), deadline())
  await until(() => sees(stranger, founder))
  const token = { uses: 1, ttlMs: HOUR_MS, role: 'member' as const }
  expect(await codeOf(Promise.resolve().then(() => stranger.createToken(token)))).toBe('E_NOT_ADMIN')
  const third = await startNode()
  await third.join(stranger.invite(), deadline())
  await until(() => sees(third, founder))

  await stranger.join(founder.createToken(token).text, deadline())
  await until(() => founder.peers().some(({ id, role }) => id === stranger.peerId && role === 'member'))
})
