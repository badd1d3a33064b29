/** The model beside sixteen real libp2p hosts: as many messages for the same work. */

import { expect, test } from 'vitest'
import type { DhtSettings } from '../../../node/mesh/host.ts'
import { keyOf } from '../../../node/mesh/rendezvous.ts'
import type { Session } from '../../../node/mesh/session.ts'
import { startNode, startSession, until } from '../../mesh/nodes.ts'
import { SimulatedMesh } from './mesh.ts'

const PEERS = 16
/** Fewer than the peers, so that lookups have to choose. */
const DHT: DhtSettings = { kBucketSize: 8, alpha: 3, disjointPaths: 1, reach: 'lan' }
/** A join is over when nothing was asked for so long. */
const QUIET_MS = 1_500
const JOIN_MS = 10_000

type Counts = { lookup: number; provide: number; find: number; join: number }

test('a lookup, a provide, a search to its end and a join take as many messages as of real nodes', async () => {
  const [real, simulated] = [await measureReal(), measureSimulated()]
  console.info(`requests, real: ${JSON.stringify(real)}, simulated: ${JSON.stringify(simulated)}`)
  for (const [what, most] of Object.entries({ lookup: 1.25, provide: 1.25, find: 1.25, join: 2 })) {
    const ratio = simulated[what as keyof Counts] / real[what as keyof Counts]
    expect(ratio, what).toBeGreaterThan(1 / most)
    expect(ratio, what).toBeLessThan(most)
  }
})

async function measureReal(): Promise<Counts> {
  const admin = await startNode({ dht: DHT })
  const sessions: Session[] = []
  for (let i = 0; i < PEERS - 2; i++) sessions.push(await startSession(admin, { dht: DHT }))
  await until(() => sessions.every(({ peers }) => peers.size === PEERS - 2), 60_000)
  const join = await measureJoin(sessions, () => startSession(admin, { dht: DHT }))
  const counts = { lookup: 0, provide: 0, find: 0, join }
  for (const { host, membership } of sessions) {
    const { dht } = host.services
    const key = keyOf(membership.facts.id, 'work-wanted', 1, 0)
    counts.lookup += (await sent(dht.getClosestPeers(host.peerId.toMultihash().bytes))) / sessions.length
    counts.find += (await sent(dht.findProviders(key))) / sessions.length
  }
  for (const { host, membership } of sessions) {
    const key = keyOf(membership.facts.id, 'work-wanted', 2, 0)
    counts.provide += (await sent(host.services.dht.provide(key))) / sessions.length
  }
  return counts
}

async function sent(events: AsyncIterable<{ name: string }>): Promise<number> {
  let count = 0
  for await (const { name } of events) if (name === 'SEND_QUERY') count += 1
  return count
}

/** Requests of the DHT that a newcomer makes, counted where the library makes them. */
async function measureJoin(sessions: readonly Session[], start: () => Promise<Session>): Promise<number> {
  const [first] = sessions
  if (first === undefined) throw new Error('no session')
  type Network = { sendRequest: (...args: unknown[]) => unknown; sendMessage: (...args: unknown[]) => unknown }
  const prototype: Network = Object.getPrototypeOf((first.host.services.dht as unknown as { network: Network }).network)
  const { sendRequest, sendMessage } = prototype
  let [count, lastAt] = [0, 0]
  const note = () => {
    count += 1
    lastAt = performance.now()
  }
  prototype.sendRequest = function (...args) {
    note()
    return sendRequest.apply(this, args)
  }
  prototype.sendMessage = function (...args) {
    note()
    return sendMessage.apply(this, args)
  }
  try {
    const newcomer = await start()
    await until(() => newcomer.peers.size === PEERS - 1 && performance.now() - lastAt > QUIET_MS, 60_000)
    return count
  } finally {
    Object.assign(prototype, { sendRequest, sendMessage })
  }
}

function measureSimulated(): Counts {
  const mesh = new SimulatedMesh({ seed: 1, peers: PEERS - 1, dht: DHT, churn: false })
  mesh.run(1_000)
  const newcomer = mesh.join()
  mesh.run(JOIN_MS)
  const { find, providers, add } = newcomer.asked
  const counts = { lookup: 0, provide: 0, find: 0, join: find + providers + add }
  const members = mesh.alive.slice(0, -1)
  for (const member of members) {
    const lookup = member.lookup('find', member.id, { ended: () => undefined })
    const search = member.lookup('providers', mesh.keyOf('work-wanted', 1, 0), { ended: () => undefined })
    mesh.run(2_000)
    counts.lookup += lookup.requests / members.length
    counts.find += search.requests / members.length
    const before = { ...member.asked }
    member.rendezvous.provide(mesh.keyOf('work-wanted', 2, 0), () => undefined)
    mesh.run(2_000)
    counts.provide += (member.asked.find - before.find + member.asked.add - before.add) / members.length
  }
  return counts
}
