import { expect, test } from 'vitest'
import { deadline, sees, startMember, startNode, until } from './nodes.ts'

test('a node joins with a token, both see each other, and frames go both ways', async () => {
  const admin = await startNode()
  admin.serve('/test/echo/1', async (channel) => {
    for await (const frame of channel) await channel.send(frame)
  })
  const member = await startMember(admin)
  expect(admin.peers()[0]).toMatchObject({ id: member.peerId, role: 'member', direction: 'inbound' })
  expect(member.peers()[0]).toMatchObject({ id: admin.peerId, role: 'admin', direction: 'outbound' })
  expect(member.meshId).toBe(admin.meshId)

  const channel = await member.open(admin.peerId, '/test/echo/1', deadline())
  await channel.send(new TextEncoder().encode('hei'))
  for await (const frame of channel) {
    expect(new TextDecoder().decode(frame)).toBe('hei')
    break
  }
  await channel.close()
  await member.stop()
  await until(() => !sees(admin, member))
})
