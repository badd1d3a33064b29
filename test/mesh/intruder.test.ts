/** What a machine without a certificate can do at a node of a private mesh: nothing, and learn nothing. */

import { once } from 'node:events'
import { connect } from 'node:net'
import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { ConnectionEncrypter } from '@libp2p/interface'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { afterEach, expect, test } from 'vitest'
import {
  credentialSchema,
  HELLO_PROTOCOL,
  HelloTalk,
  helloSchema,
  meshTag,
  RefusedByPeer,
} from '../../node/mesh/hello.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { decodeToken, encodeToken } from '../../protocol/membership/index.ts'
import { memoryMeshStore } from './memory-store.ts'
import { codeOf, startMember, startNode, until } from './nodes.ts'

type NoiseComponents = Parameters<ReturnType<typeof noise>>[0]
type Opening = (talk: HelloTalk, self: string, peer: string) => Promise<void>

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()))
})

/** A raw libp2p node with every ordinary service; `opening` is what it says where the mesh's handshake belongs. */
async function startIntruder(opening: Opening | null, answer?: (talk: HelloTalk) => Promise<void>) {
  const privateKey = await generateKeyPair('Ed25519')
  const self = peerIdFromPrivateKey(privateKey).toString()
  const encrypter = (components: NoiseComponents): ConnectionEncrypter => {
    const inner = noise()(components)
    return {
      protocol: HELLO_PROTOCOL,
      secureInbound: async (connection, options) => {
        const secured = await inner.secureInbound(connection, options)
        await answer?.(new HelloTalk(secured.connection, AbortSignal.timeout(60_000)))
        return secured
      },
      secureOutbound: async (connection, options) => {
        const secured = await inner.secureOutbound(connection, options)
        const talk = new HelloTalk(secured.connection, AbortSignal.timeout(60_000))
        await opening?.(talk, self, secured.remotePeer.toString())
        talk.done()
        return secured
      },
    }
  }
  const node = await createLibp2p({
    privateKey,
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: opening === null ? [noise()] : [encrypter],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      ping: ping(),
      dht: kadDHT({ clientMode: true, peerInfoMapper: passthroughMapper, allowQueryWithZeroPeers: true }),
    },
  })
  stops.push(async () => {
    await node.stop()
  })
  return node
}

async function startVictim() {
  const admin = await startNode()
  await startMember(admin)
  const [address = ''] = admin.status().addresses
  let served = 0
  admin.serve('/talkoot/work/1', async () => {
    served += 1
  })
  return { admin, address: multiaddr(address), served: () => served }
}

test('plain libp2p does not get past the choice of encryption', async () => {
  const { admin, address } = await startVictim()
  const intruder = await startIntruder(null)
  await expect(intruder.dial(address)).rejects.toThrow()
  expect(admin.peers()).toHaveLength(1)
})

const OPENINGS: [string, Opening][] = [
  ['that skips the handshake', async () => undefined],
  [
    'that names the mesh and claims to be ready',
    async (talk, self, peer) => {
      await talk.say({ t: 'hello', v: 1, mesh: meshTag(currentMesh, self, peer) })
      await talk.say({ t: 'ready' })
    },
  ],
  [
    'that names another mesh',
    async (talk, self, peer) => {
      await talk.say({ t: 'hello', v: 1, mesh: meshTag(self, self, peer) })
    },
  ],
]
let currentMesh = ''

test.each(OPENINGS)('a node %s reaches no protocol', async (_, opening) => {
  const { admin, address, served } = await startVictim()
  currentMesh = admin.meshId
  const intruder = await startIntruder(opening)
  const kad = admin.status().mesh.id
  for (const protocol of ['/ipfs/ping/1.0.0', '/ipfs/id/1.0.0', `/talkoot/${kad}/kad/1.0.0`, '/talkoot/work/1']) {
    await expect(intruder.dialProtocol(address, protocol, { signal: AbortSignal.timeout(60_000) })).rejects.toThrow()
  }
  await expect(intruder.services.ping.ping(address, { signal: AbortSignal.timeout(60_000) })).rejects.toThrow()
  await until(() => admin.refusals().some(({ peer }) => peer === intruder.peerId.toString()))
  expect(served()).toBe(0)
  expect(admin.peers()).toHaveLength(1)
  const [known] = await intruder.peerStore.all()
  expect(known?.protocols ?? []).toEqual([])
})

test('who does not know the mesh id is not told it', async () => {
  const { admin, address } = await startVictim()
  const heard: unknown[] = []
  const intruder = await startIntruder(async (talk, self, peer) => {
    await talk.say({ t: 'hello', v: 1, mesh: meshTag('guess', self, peer) })
    const frames = talk.stream
    frames.addEventListener('message', ({ data }) => heard.push(new TextDecoder().decode(data.subarray())))
    await once(frames as unknown as EventTarget, 'close', { signal: AbortSignal.timeout(60_000) }).catch(
      () => undefined,
    )
  })
  await codeOf(intruder.dial(address))
  expect(heard.join()).toContain('E_MESH_MISMATCH')
  expect(heard.join()).not.toContain(admin.meshId)
})

test('a connection that says nothing is closed within the handshake timeout, and many of them do not shut others out', async () => {
  const { admin, address } = await startVictim()
  const port = Number(address.getComponents().find(({ name }) => name === 'tcp')?.value)
  const sockets = Array.from({ length: 20 }, () => connect(port, '127.0.0.1').on('error', () => undefined))
  const closed = sockets.map((socket) => new Promise((resolve) => socket.resume().on('close', resolve)))
  await startMember(admin)
  const started = performance.now()
  await Promise.all(closed)
  expect(performance.now() - started).toBeLessThan(LIMITS.HANDSHAKE_TIMEOUT_MS + 20_000)
  expect(admin.peers()).toHaveLength(2)
})

test('an impostor that claims the mesh of a token never hears the secret', async () => {
  const store = memoryMeshStore()
  const admin = await startNode({}, store)
  const token = decodeToken(admin.createToken({ uses: 1, ttlMs: 60_000, role: 'member' }).text)
  const own = memoryMeshStore()
  await startNode({}, own)
  // Its own mesh's chain, the real issuer's chain, and none at all.
  for (const chain of [own.mesh()?.chain, store.mesh()?.chain, []]) {
    const heard: unknown[] = []
    const impostor = await startIntruder(
      async () => undefined,
      async (talk) => {
        await talk.hear(helloSchema)
        await talk.say({ t: 'proof', chain: chain ?? [] })
        heard.push(await talk.hear(credentialSchema).catch((error) => error))
      },
    )
    const addresses = impostor.getMultiaddrs().map(String)
    const misled = encodeToken({ ...token, issuer: impostor.peerId.toString(), addresses })
    const joiner = await startNode()
    expect(await codeOf(joiner.join(misled, AbortSignal.timeout(60_000)))).toMatch(/^E_(MESH_MISMATCH|CERT_INVALID)$/)
    await until(() => heard.length === 1)
    expect(heard[0]).toBeInstanceOf(RefusedByPeer)
  }
})
