/** What a node bears of other peers: 10,000 ads, each signed and read as from the wire; and what is dropped beyond. */

import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection } from '@libp2p/interface'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { expect, test } from 'vitest'
import { compilePolicy } from '../../node/jobs/matching/policy.ts'
import { createScheduler } from '../../node/jobs/scheduler/scheduler.ts'
import { AdPress, AdReader } from '../../node/mesh/ads.ts'
import { PeerTable } from '../../node/mesh/peers.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { policySchema } from '../../protocol/manifest.ts'
import { signerOf } from '../../protocol/signatures.ts'
import { AD } from '../mesh/ad.ts'
import { memoryMeshStore } from '../mesh/memory-store.ts'
import { liveHeap } from '../sim/heap.ts'

const MiB = 2 ** 20
const MESH = 'mesh'
const LABELS = { room: 'b12', rack: 'r4', owner: 'chemistry', gpu: 'none' }

/** The ad of a new peer as it comes over the wire. */
async function signedAd(labels: Record<string, string> = LABELS, memory: number = AD.memory) {
  const signer = signerOf(await generateKeyPair('Ed25519'))
  const place = {
    mesh: MESH,
    reach: 'dialable' as const,
    addresses: ['/ip4/10.1.2.3/tcp/4001', '/ip4/127.0.0.1/tcp/4001'],
  }
  return {
    peer: signer.peer,
    signed: await new AdPress(memoryMeshStore(), signer).print({ ...AD, labels, memory }, place),
  }
}

/** What the work gives, and what it takes of a processor, milliseconds, whoever else has it between. */
function cpuOf<T>(work: () => T): [T, number] {
  const before = process.cpuUsage()
  const result = work()
  const { user, system } = process.cpuUsage(before)
  return [result, (user + system) / 1_000]
}

const standing = { role: 'member' as const, links: [] }

test('10,000 signed ads take less than 7 KiB each, in the table of peers, the reader and the scheduler together', async () => {
  const count = LIMITS.ADS_KNOWN_MAX
  const table = new PeerTable(() => undefined)
  const reader = new AdReader(MESH)
  const scheduler = createScheduler({ random: xoroshiro128plus(1) })
  const require = 'peer.memory >= 2 * GiB && peer.labels.room == "b12"'
  const policy = policySchema.parse({ require, rank: 'peer.speed' })
  const job = { id: 'job', size: 10, policy, isSettled: () => false, settledCount: 0 }
  scheduler.step({ type: 'job.added', job }, 0)
  const heap = liveHeap()
  const before = heap()
  for (let i = 0; i < count; i++) {
    const { peer, signed } = await signedAd(LABELS, (i % 4) * 2 ** 30)
    const ad = await reader.read(peer, signed)
    expect(reader.isCurrent(ad)).toBe(true)
    table.expect({ peer, standing, ad, signed, revocationsDigest: '' } as unknown as Parameters<PeerTable['expect']>[0])
    expect(
      table.opened(
        {
          remotePeer: { toString: () => peer },
          remoteAddr: { toString: () => '/ip4/10.1.2.3/tcp/4001' },
        } as Connection,
        { isWanted: true },
      ),
    ).toBe(true)
    scheduler.step({ type: 'peer.up', peer, trust: 'member', ad }, i)
  }
  const bytes = heap() - before
  expect(table.size).toBe(count)

  const matched = compilePolicy(policy)
  const [fitting, matchMs] = cpuOf(() =>
    table.list().filter(({ id, ad }) => matched.misfit({ id, ad, trust: 'member', role: 'member' }) === null),
  )
  const [effects, addMs] = cpuOf(() => scheduler.step({ type: 'job.added', job: { ...job, id: 'second' } }, count))
  console.info(
    `${(bytes / count).toFixed(0)} bytes an ad; ${count} matched in ${matchMs.toFixed(0)} ms; a job beside them begun in ${addMs.toFixed(0)} ms`,
  )
  expect(fitting.length).toBe(count / 2)
  expect(bytes).toBeLessThan(7 * 1024 * count)
  expect(bytes).toBeLessThan(60 * MiB)
  expect(matchMs).toBeLessThan(500)
  expect(addMs).toBeLessThan(1_000)
  expect(effects.length).toBeGreaterThan(0)
  table.clear()
})

test('beyond 10,000 the number of the ad longest not heard is forgotten, the others stand', async () => {
  const reader = new AdReader(MESH)
  const { peer, signed } = await signedAd()
  const ad = await reader.read(peer, signed)
  const numbered = (name: string, seq: number) => ({ ...ad, peer: name, seq })
  for (let i = 0; i < LIMITS.ADS_KNOWN_MAX; i++) reader.isCurrent(numbered(`peer-${i}`, 5))
  reader.isCurrent(numbered('peer-0', 6))
  reader.isCurrent(numbered('one more', 1))
  expect(reader.isCurrent(numbered('peer-0', 5))).toBe(false)
  expect(reader.isCurrent(numbered('peer-2', 4))).toBe(false)
  expect(reader.isCurrent(numbered('peer-1', 4))).toBe(true)
})

test('beyond 10,000 the scheduler forgets peers that left, oldest first, and none that is up', async () => {
  const { signed, peer } = await signedAd()
  const ad = await new AdReader(MESH).read(peer, signed)
  const scheduler = createScheduler({ random: xoroshiro128plus(1) })
  for (let i = 0; i < 2 * LIMITS.ADS_KNOWN_MAX; i++) {
    scheduler.step({ type: 'peer.up', peer: `peer-${i}`, trust: 'member', ad }, i)
    if (i % 100 !== 0) scheduler.step({ type: 'peer.down', peer: `peer-${i}`, code: 'E_UNREACHABLE' }, i)
    scheduler.step({ type: 'peer.alive', peer: 'peer-0' }, i)
  }
  expect(scheduler.load().peers).toBeLessThanOrEqual(LIMITS.ADS_KNOWN_MAX + 1)
})
