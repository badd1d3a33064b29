import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, expect, test } from 'vitest'
import type { MeshNode } from '../../node/mesh/create.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { decodeToken, encodeToken } from '../../protocol/membership/index.ts'
import { codeOf, deadline, HOUR_MS, sees, startMember, startNode, until } from './nodes.ts'

/** Noise alone is about 300 bytes each way: the joiner has been let in and told nothing yet. */
const MID_HANDSHAKE_BYTES = 400

const stops: (() => Promise<unknown>)[] = []
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()))
})

/** A token whose address is of a door before the issuer; `open` says what a connection, counted from 1, may get through it. */
async function doorBefore(issuer: MeshNode, open: (count: number) => 'nothing' | 'a beginning' | 'all') {
  const [address = ''] = issuer.status().addresses
  const port = Number(
    multiaddr(address)
      .getComponents()
      .find(({ name }) => name === 'tcp')?.value,
  )
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    return socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket))
  }
  let count = 0
  const door = createServer((outer) => {
    keep(outer)
    count += 1
    const through = open(count)
    if (through === 'nothing') return outer.destroy()
    const inner = keep(connect(port, '127.0.0.1'))
    let bytes = 0
    inner.on('data', (data) => {
      bytes += data.length
      if (through === 'a beginning' && bytes > MID_HANDSHAKE_BYTES) outer.destroy()
      else outer.write(data)
    })
    outer.pipe(inner)
    inner.on('close', () => outer.destroy())
    outer.on('close', () => inner.destroy())
  })
  door.listen(0, '127.0.0.1')
  await once(door, 'listening')
  stops.push(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((done) => door.close(done))
  })
  const token = decodeToken(issuer.createToken({ uses: 1, ttlMs: HOUR_MS, role: 'member' }).text)
  const addresses = [`/ip4/127.0.0.1/tcp/${(door.address() as AddressInfo).port}`]
  return { text: encodeToken({ ...token, addresses }), dials: () => count }
}

test('a joiner comes again to an issuer that hung up, before the handshake or in it', async () => {
  const issuer = await startNode()
  const outcomes = ['nothing', 'a beginning', 'all'] as const
  const { text, dials } = await doorBefore(issuer, (count) => outcomes[count - 1] ?? 'all')
  const joiner = await startNode()
  await joiner.join(text, deadline(LIMITS.JOIN_TIMEOUT_MS))
  expect(dials()).toBeGreaterThanOrEqual(3)
  expect(joiner.meshId).toBe(issuer.meshId)
  expect(issuer.listTokens()).toMatchObject([{ usesLeft: 0 }])
  await until(() => sees(issuer, joiner))
})

test(`it gives up after ${LIMITS.JOIN_ROUNDS} rounds, or when its time is over, with a code`, async () => {
  const issuer = await startNode()
  const { text, dials } = await doorBefore(issuer, () => 'nothing')
  const joiner = await startNode()
  expect(await codeOf(joiner.join(text, deadline()))).toBe('E_MESH_UNREACHABLE')
  expect(dials()).toBe(LIMITS.JOIN_ROUNDS)
  expect(await codeOf(joiner.join(text, deadline(500)))).toBe('E_MESH_UNREACHABLE')
  expect(dials()).toBeLessThan(2 * LIMITS.JOIN_ROUNDS)
})

test('a member that cannot renew its place is told so after one round', async () => {
  const issuer = await startNode()
  const member = await startMember(issuer)
  const { text, dials } = await doorBefore(issuer, () => 'nothing')
  expect(await codeOf(member.join(text, deadline()))).toBe('E_MESH_UNREACHABLE')
  expect(dials()).toBe(1)
})
