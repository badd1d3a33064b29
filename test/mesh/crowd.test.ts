import { expect, test } from 'vitest'
import { Crowd } from '../../node/mesh/crowd.ts'
import { deadline, startMember, startNode, startSession, until } from './nodes.ts'

test('of too many peers, idle ones are parted with and told so; one that is worked with stays', async () => {
  const admin = await startNode()
  const busy = await startMember(admin)
  busy.serve('/test/work/1', async (channel) => {
    for await (const frame of channel) await channel.send(frame)
  })
  const others = [admin, await startMember(admin), await startMember(admin)]
  const session = await startSession(admin)
  const self = session.host.peerId.toString()
  await until(() => session.peers.size === 4)
  const channel = await session.doors.open(busy.peerId, '/test/work/1', deadline())
  const left: string[] = []
  for (const node of others) {
    node.watch((event) => event.type === 'peer.left' && event.id === self && left.push(event.code), deadline(60_000))
  }
  const { peers, doors } = session
  new Crowd({ peers, doors, cut: (peer, code) => session.cut(peer, code) }, { idleMax: 1 }).thin()
  expect(session.peers.size).toBe(2)
  expect(session.peers.get(busy.peerId)).toBeDefined()
  await until(() => left.length === 2)
  expect(left).toEqual(['E_BUSY', 'E_BUSY'])
  await channel.close()
})
