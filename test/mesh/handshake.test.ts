import { expect, test, vi } from 'vitest'
import { createMesh, type MeshNode } from '../../node/mesh/create.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { type Chain, decodeToken, encodeToken, type Token } from '../../protocol/membership/index.ts'
import { AD } from './ad.ts'
import { memoryMeshStore } from './memory-store.ts'
import { codeOf, deadline, HOUR_MS, sees, startMember, startNode, until } from './nodes.ts'

const ONE_USE = { uses: 1, ttlMs: HOUR_MS, role: 'member' as const }

const altered = (text: string, change: (token: Token) => Partial<Token>) => {
  const token = decodeToken(text)
  return encodeToken({ ...token, ...change(token) })
}

test('each way a token can fail has its code, at both sides', async () => {
  const admin = await startNode()
  const joiner = await startNode()
  const join = (text: string) => codeOf(joiner.join(text, deadline()))
  const here = () => admin.refusals().filter(({ peer, by }) => peer === joiner.peerId && by === 'ours')

  const wrong = altered(admin.createToken(ONE_USE).text, ({ grant }) => ({
    grant: grant && { ...grant, secret: new Uint8Array(16) },
  }))
  expect(await join(wrong)).toBe('E_TOKEN_WRONG')
  const unknown = altered(wrong, ({ grant }) => ({ grant: grant && { ...grant, id: 'unknown' } }))
  expect(await join(unknown)).toBe('E_TOKEN_WRONG')

  const expired = admin.createToken({ ...ONE_USE, ttlMs: 1 })
  await until(() => admin.listTokens().some(({ id, state }) => id === expired.info.id && state === 'expired'))
  expect(await join(expired.text)).toBe('E_TOKEN_EXPIRED')

  const revoked = admin.createToken(ONE_USE)
  await admin.revokeToken(revoked.info.id, { members: false })
  expect(await join(revoked.text)).toBe('E_TOKEN_REVOKED')

  const used = admin.createToken(ONE_USE)
  const other = await startNode()
  await other.join(used.text, deadline())
  expect(await join(used.text)).toBe('E_TOKEN_USED')
  expect(await join('talkoot1:x')).toBe('E_TOKEN_MALFORMED')

  const codes = ['E_TOKEN_USED', 'E_TOKEN_REVOKED', 'E_TOKEN_EXPIRED', 'E_TOKEN_WRONG']
  await until(() => here().length === 4)
  expect(here().map(({ code }) => code)).toEqual(codes)
  expect(here().at(-1)?.count).toBe(2)
  expect(joiner.meshId).not.toBe(admin.meshId)
  expect(joiner.status().running).toBe(true)
})

test('a lost answer does not cost a use: the same peer may redeem its token again', async () => {
  const admin = await startNode()
  const { text } = admin.createToken(ONE_USE)
  const store = memoryMeshStore()
  const joiner = await startNode({}, store)
  await joiner.join(text, deadline())
  await joiner.join(text, deadline())
  await until(() => sees(admin, joiner))
  expect(admin.listTokens()).toMatchObject([{ usesLeft: 0, state: 'used' }])
})

test('a joiner tells nothing to a machine that is not of the mesh in the token', async () => {
  const [admin, impostor, joiner] = [await startNode(), await startNode(), await startNode()]
  const addresses = impostor.status().addresses
  const { text } = admin.createToken(ONE_USE)
  const misled = altered(text, () => ({ addresses, issuer: impostor.peerId }))
  expect(await codeOf(joiner.join(misled, deadline()))).toBe('E_MESH_MISMATCH')
  // The right name at a wrong address: noise finds that the machine there is another peer.
  expect(
    await codeOf(
      joiner.join(
        altered(text, () => ({ addresses })),
        deadline(),
      ),
    ),
  ).toBe('E_MESH_UNREACHABLE')
  const nowhere = altered(text, () => ({ addresses: ['/ip4/127.0.0.1/tcp/1', 'rubbish'] }))
  expect(await codeOf(joiner.join(nowhere, deadline()))).toBe('E_MESH_UNREACHABLE')
  expect(admin.listTokens()[0]?.usesLeft).toBe(1)
})

test('a member with no right to admit cannot make tokens, nor one who cannot be dialled', async () => {
  const admin = await startNode()
  const member = await startMember(admin)
  const hidden = await startMember(admin, 'admin', { outboundOnly: true })
  const code = (make: () => unknown) => codeOf(Promise.resolve().then(make))
  expect(await code(() => member.createToken(ONE_USE))).toBe('E_NOT_ADMIN')
  expect(await code(() => member.revokePeer(admin.peerId))).toBe('E_NOT_ADMIN')
  expect(await code(() => hidden.createToken(ONE_USE))).toBe('E_MESH_UNREACHABLE')
  expect(await code(() => admin.createToken({ ...ONE_USE, uses: LIMITS.TOKEN_USES_MAX + 1 }))).toBe('E_USAGE')
  expect(await code(() => admin.createToken({ ...ONE_USE, ttlMs: LIMITS.TOKEN_TTL_MAX_MS + 1 }))).toBe('E_USAGE')
  expect(await code(() => admin.invite())).toBe('E_USAGE')
  for (let made = admin.listTokens().length; made < LIMITS.TOKENS_LIVE_MAX; made += 1) admin.createToken(ONE_USE)
  // The used tokens made room for two more, then every one is live.
  admin.createToken(ONE_USE)
  admin.createToken(ONE_USE)
  expect(await code(() => admin.createToken(ONE_USE))).toBe('E_USAGE')
})

test('a node of a mesh with other members does not leave it for another', async () => {
  const [admin, other] = [await startNode(), await startNode()]
  const member = await startMember(admin)
  const { text } = other.createToken(ONE_USE)
  expect(await codeOf(member.join(text, deadline()))).toBe('E_ALREADY_MEMBER')
  expect(await codeOf(admin.join(text, deadline()))).toBe('E_ALREADY_MEMBER')
  expect(await codeOf(admin.join(admin.createToken(ONE_USE).text, deadline()))).toBe('E_USAGE')
})

test('guessing at secrets is stopped, by host, well before it could succeed', async () => {
  const [admin, guesser] = [await startNode(), await startNode()]
  const text = altered(admin.createToken(ONE_USE).text, ({ grant }) => ({
    grant: grant && { ...grant, secret: new Uint8Array(16) },
  }))
  for (let guess = 0; guess < LIMITS.TOKEN_GUESSES_PER_MINUTE; guess += 1) {
    expect(await codeOf(guesser.join(text, deadline()))).toBe('E_TOKEN_WRONG')
  }
  expect(await codeOf(guesser.join(text, deadline()))).toBe('E_TOO_MANY_TRIES')
})

test('a peer without a certificate of this private mesh is refused by code', async () => {
  const admin = await startNode()
  const store = memoryMeshStore()
  const member = await startNode({}, store)
  await member.join(admin.createToken(ONE_USE).text, deadline())
  const stranger = await strangerTo(admin, [])
  await stranger.start()
  await until(() => admin.refusals().some(({ peer, code }) => peer === stranger.peerId && code === 'E_NOT_MEMBER'))
  await until(() => stranger.refusals().length > 0)
  expect(stranger.refusals()).toMatchObject([{ peer: admin.peerId, code: 'E_NOT_MEMBER', by: 'theirs' }])
  await stranger.stop()

  const stolen = await strangerTo(admin, store.mesh()?.chain ?? [])
  await stolen.start()
  await until(() => admin.refusals().some(({ peer, code }) => peer === stolen.peerId && code === 'E_CERT_INVALID'))
  await stolen.stop()
  expect(admin.peers().map(({ id }) => id)).toEqual([member.peerId])
})

test('an expired certificate is refused; one half-way through its life is renewed', async () => {
  const stores = { admin: memoryMeshStore(), member: memoryMeshStore() }
  const admin = await startNode({}, stores.admin)
  const member = await startNode({}, stores.member)
  await member.join(admin.createToken(ONE_USE).text, deadline())
  await until(() => sees(admin, member))
  const old = stores.member.mesh()
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + LIMITS.CERT_TTL_MS * 0.6 })
  try {
    await until(() => stores.member.mesh()?.chain[0]?.bytes !== old?.chain[0]?.bytes, 30_000)
    await member.stop()
    if (old === undefined) throw new Error('the member has no mesh')
    stores.member.keepMesh(old)
    vi.setSystemTime(Date.now() + LIMITS.CERT_TTL_MS * 0.5)
    await member.start()
    await until(() => admin.refusals().some(({ peer, code }) => peer === member.peerId && code === 'E_CERT_EXPIRED'))
  } finally {
    vi.useRealTimers()
  }
})

/** A node that believes itself of the admin's mesh, with a chain of our choice. */
async function strangerTo(admin: MeshNode, chain: Chain): Promise<MeshNode> {
  const store = memoryMeshStore()
  store.keepMesh({ id: admin.meshId, kind: 'private', name: '', chain, key: null })
  store.rememberPeer({ id: admin.peerId, addresses: admin.status().addresses })
  return await createMesh({ store }, { describe: () => AD, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false })
}
