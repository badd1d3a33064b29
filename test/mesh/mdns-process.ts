/**
 * Two members that know only each other's former ports: they can meet again by mDNS alone. Says `met`. Run in a network
 * namespace whose one link has a multicast route.
 */

import { createMesh, type MeshNode } from '../../node/mesh/create.ts'
import { AD } from './ad.ts'
import { memoryMeshStore } from './memory-store.ts'

const node = (mdns: boolean) =>
  createMesh({ store: memoryMeshStore() }, { describe: () => AD, listen: [process.argv[2] ?? ''], mdns })

const met = (a: MeshNode) =>
  new Promise<void>((resolve) => {
    a.watch(({ type }) => type === 'peer.joined' && resolve(), new AbortController().signal)
    if (a.peers().length > 0) resolve()
  })

const mdns = process.argv[3] === 'mdns'
const [admin, member] = [await node(mdns), await node(mdns)]
await admin.start()
await member.start()
await member.join(admin.createToken({ uses: 1, ttlMs: 60_000, role: 'member' }).text, AbortSignal.timeout(60_000))
await met(admin)
await Promise.all([admin.stop(), member.stop()])
await admin.start()
await member.start()
await Promise.all([met(admin), met(member)])
console.log('met')
process.exit()
