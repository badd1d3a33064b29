import { once } from 'node:events'
import { expect, test } from 'vitest'
import type { MeshEvent } from '../../node/mesh/mesh.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { codeOf, deadline, HOUR_MS, sees, startMember, startNode, startProcess, startSession, until } from './nodes.ts'

const token = { uses: 1, ttlMs: HOUR_MS, role: 'worker' as const }

test('a peer stopped in its tracks leaves within 45 seconds, pending sends fail with a code, and it comes back', async () => {
  const admin = await startNode()
  const { child, peerId } = await startProcess(admin.createToken(token).text)
  await until(() => sees(admin, { peerId }))
  const channel = await admin.open(peerId, '/test/echo/1', deadline())
  child.kill('SIGSTOP')
  const sends = Array.from({ length: 32 }, () => codeOf(channel.send(new Uint8Array(2 ** 20))))
  await until(() => !sees(admin, { peerId }), 45_000)
  expect(new Set(await Promise.all(sends)).has('E_UNREACHABLE')).toBe(true)
  child.kill('SIGCONT')
  await until(() => sees(admin, { peerId }))
})

test('a peer whose process is killed leaves at once', async () => {
  const admin = await startNode()
  const { child, peerId } = await startProcess(admin.createToken(token).text)
  await until(() => sees(admin, { peerId }))
  child.kill('SIGKILL')
  await once(child, 'exit')
  await until(() => !sees(admin, { peerId }), LIMITS.PEER_SILENCE_MS / 2)
})

test('a peer whose ad has expired is disconnected', async () => {
  const admin = await startNode()
  const session = await startSession(admin)
  const events: MeshEvent[] = []
  admin.watch((event) => events.push(event), deadline(60_000))
  const entry = session.peers.get(admin.peerId)
  if (entry === undefined) throw new Error('no entry')
  const left = () => events.some((event) => event.type === 'peer.left' && event.code === 'E_AD_INVALID')
  await until(() => {
    // The ad is sent again when a channel opens, so its end is moved until the check has seen it.
    entry.adUntil = 0
    return left()
  })
})

test('a member that was stopped and started finds its way back by what it remembers', async () => {
  const admin = await startNode()
  const member = await startMember(admin)
  await member.stop()
  await until(() => !sees(admin, member))
  await member.start()
  await until(() => sees(admin, member) && sees(member, admin))
  await admin.stop()
  await until(() => !sees(member, admin))
  await admin.start()
  await until(() => sees(admin, member) && sees(member, admin))
})
