import { expect, test, vi } from 'vitest'
import { ASKED_STAYS_MS, Crowd } from '../../node/mesh/crowd.ts'
import type { PeerEntry } from '../../node/mesh/peers.ts'
import { LIMITS } from '../../protocol/limits.ts'
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

test('peers that the DHT dialled for a question are parted with after half a minute, down to those kept anyway', () => {
  vi.useFakeTimers()
  try {
    const cut: string[] = []
    const entry = (isWanted: boolean) => ({ isWanted, openedAt: performance.now() }) as PeerEntry
    const entries = new Map<string, PeerEntry>()
    for (let i = 0; i < LIMITS.PEERS_KEPT - 2; i++) entries.set(`wanted${i}`, entry(true))
    for (const id of ['asked1', 'working', 'asked2', 'asked3']) entries.set(id, entry(false))
    const crowd = new Crowd(
      {
        peers: { entries: () => [...entries] },
        doors: { isBusy: (id) => id === 'working' },
        cut: (id) => {
          cut.push(id)
          entries.delete(id)
        },
      },
      { idleMax: LIMITS.CONNECTIONS_IDLE_MAX },
    )
    vi.advanceTimersByTime(ASKED_STAYS_MS)
    crowd.thin()
    expect(cut).toEqual([])
    vi.advanceTimersByTime(1)
    crowd.thin()
    crowd.thin()
    expect(cut).toEqual(['asked1', 'asked2'])
    expect(entries.size).toBe(LIMITS.PEERS_KEPT)
  } finally {
    vi.useRealTimers()
  }
})
