import { generateKeyPair } from '@libp2p/crypto/keys'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalBytes } from '../../protocol/canonical.ts'
import { LIMITS } from '../../protocol/limits.ts'
import {
  type Certificate,
  type CertifiedRole,
  type Chain,
  checkExpiry,
  decodeToken,
  encodeToken,
  issueCertificate,
  issueRevocation,
  RevocationSet,
  type SignedRevocation,
  type Token,
  verifyChain,
  verifyRevocation,
} from '../../protocol/membership/index.ts'
import { type Signer, signerOf } from '../../protocol/signatures.ts'
import { codeOf } from './nodes.ts'

const newSigner = async () => signerOf(await generateKeyPair('Ed25519'))
const mesh = await newSigner()
const founder = await newSigner()
const notAfter = Date.now() + LIMITS.CERT_TTL_MS

const certify = (issuer: Signer, peer: Signer, role: CertifiedRole, token: string | null = 'token') =>
  issueCertificate(issuer, { mesh: mesh.peer, peer: peer.peer, role, token, notAfter })

const root: Chain = [await certify(mesh, founder, 'admin', null)]
const admit = async (issuer: Signer, above: Chain, peer: Signer, role: CertifiedRole, token = 'token') => [
  await certify(issuer, peer, role, token),
  ...above,
]
const verify = (peer: Signer, chain: Chain) => verifyChain({ mesh: mesh.peer, peer: peer.peer, chain })

test('chains up to the longest allowed hold; one link more does not', async () => {
  let issuer = founder
  let chain = root
  while (chain.length < LIMITS.CERT_CHAIN_MAX) {
    const next = await newSigner()
    chain = await admit(issuer, chain, next, 'admin')
    issuer = next
    expect((await verify(issuer, chain))[0].role).toBe('admin')
  }
  const last = await newSigner()
  expect(await codeOf(verify(last, await admit(issuer, chain, last, 'member')))).toBe('E_CERT_INVALID')
})

test('a chain is refused when it is empty, of another peer, of another mesh, or issued by no admin', async () => {
  const [member, other] = [await newSigner(), await newSigner()]
  const chain = await admit(founder, root, member, 'member')
  expect(await codeOf(verify(member, []))).toBe('E_CERT_INVALID')
  expect(await codeOf(verify(other, chain))).toBe('E_CERT_INVALID')
  expect(await codeOf(verifyChain({ mesh: other.peer, peer: member.peer, chain }))).toBe('E_MESH_MISMATCH')
  expect(await codeOf(verify(other, await admit(member, chain, other, 'member')))).toBe('E_CERT_INVALID')
  expect(await codeOf(verify(other, [await certify(other, other, 'admin')]))).toBe('E_CERT_INVALID')
  expect(await codeOf(verify(other, [await certify(other, other, 'admin'), ...root]))).toBe('E_CERT_INVALID')
})

test('any flipped bit in a certificate or its signature is found', async () => {
  const member = await newSigner()
  const chain = await admit(founder, root, member, 'member')
  await fc.assert(
    fc.asyncProperty(fc.nat(1), fc.boolean(), fc.nat(), fc.nat(7), async (link, inBytes, at, bit) => {
      const broken = structuredClone(chain)
      const part = inBytes ? broken[link]?.bytes : broken[link]?.signature
      if (part === undefined) return false
      part[at % part.length] = (part[at % part.length] ?? 0) ^ (1 << bit)
      return (await codeOf(verify(member, broken))) !== 'no error'
    }),
    { numRuns: 200 },
  )
})

test('expiry is judged with a day of grace, for every link', async () => {
  const member = await newSigner()
  const links = await verify(member, await admit(founder, root, member, 'member'))
  const end = notAfter + LIMITS.CERT_SKEW_MS
  checkExpiry(links, end)
  expect(() => checkExpiry(links, end + 1)).toThrow(expect.objectContaining({ code: 'E_CERT_EXPIRED' }))
})

test('tokens survive the trip through text, whatever their fields', () => {
  const text = fc.string({ maxLength: 60 })
  const token = fc.record<Token>({
    v: fc.constant(1 as const),
    mesh: fc.constant(mesh.peer),
    kind: fc.constantFrom('private', 'open'),
    name: text,
    issuer: fc.constant(founder.peer),
    grant: fc.option(
      fc.record({
        id: fc.string({ maxLength: 32 }),
        secret: fc.uint8Array({ minLength: 16, maxLength: 16 }),
        role: fc.constantFrom('admin', 'member', 'worker'),
      }),
    ),
    addresses: fc.array(text, { minLength: 1, maxLength: LIMITS.TOKEN_ADDRESSES_MAX }),
  })
  fc.assert(
    fc.property(token, (one) => {
      expect(decodeToken(` ${encodeToken(one)}\n`)).toEqual(one)
    }),
  )
})

test('a token mistyped or cut short is malformed, never wrong', () => {
  const secret = crypto.getRandomValues(new Uint8Array(16))
  const grant = { id: 'id', secret, role: 'member' as const }
  const addresses = ['/ip4/127.0.0.1/tcp/1']
  const text = encodeToken({ v: 1, mesh: mesh.peer, kind: 'private', name: '', issuer: founder.peer, grant, addresses })
  const malformed = expect.objectContaining({ code: 'E_TOKEN_MALFORMED' })
  fc.assert(
    fc.property(fc.nat(text.length - 1), (at) => {
      expect(() => decodeToken(text.slice(0, at))).toThrow(malformed)
      const other = text[at] === 'x' ? 'y' : 'x'
      expect(() => decodeToken(text.slice(0, at) + other + text.slice(at + 1))).toThrow(malformed)
    }),
  )
  expect(() => decodeToken(`talkoot1:${'2'.repeat(LIMITS.TOKEN_MAX_CHARS)}`)).toThrow(malformed)
})

const revoke = (issuer: Signer, chain: Chain, target: { peer: string } | { token: string }) =>
  issueRevocation(issuer, chain, { mesh: mesh.peer, target })

async function setOf(...list: SignedRevocation[]): Promise<RevocationSet> {
  const set = new RevocationSet()
  for (const signed of list) set.add(await verifyRevocation(mesh.peer, signed), signed)
  return set
}

const isRevoked = (set: RevocationSet, links: readonly Certificate[]) => {
  try {
    set.check(links)
    return false
  } catch {
    return true
  }
}

test('any admin revokes members; admins are revoked only from above; descendants go with them', async () => {
  const [elder, peer, younger, member] = [await newSigner(), await newSigner(), await newSigner(), await newSigner()]
  const elderChain = await admit(founder, root, elder, 'admin')
  const peerChain = await admit(founder, root, peer, 'admin')
  const youngerChain = await admit(elder, elderChain, younger, 'admin')
  const memberChain = await admit(elder, elderChain, member, 'member')
  const [elderLinks, youngerLinks, memberLinks] = [
    await verify(elder, elderChain),
    await verify(younger, youngerChain),
    await verify(member, memberChain),
  ]
  expect(isRevoked(await setOf(await revoke(peer, peerChain, { peer: member.peer })), memberLinks)).toBe(true)
  for (const [issuer, chain] of [[peer, peerChain] as const, [younger, youngerChain] as const]) {
    expect(isRevoked(await setOf(await revoke(issuer, chain, { peer: elder.peer })), elderLinks)).toBe(false)
  }
  const byFounder = await setOf(await revoke(founder, root, { peer: elder.peer }))
  expect([elderLinks, youngerLinks, memberLinks].map((links) => isRevoked(byFounder, links))).toEqual([
    true,
    true,
    true,
  ])
})

test('revoking a token revokes those who joined with it and no others', async () => {
  const [one, two] = [await newSigner(), await newSigner()]
  const set = await setOf(await revoke(founder, root, { token: 'first' }))
  expect(isRevoked(set, await verify(one, await admit(founder, root, one, 'member', 'first')))).toBe(true)
  expect(isRevoked(set, await verify(two, await admit(founder, root, two, 'member', 'second')))).toBe(false)
})

test('revocations signed by a member, a stranger, or for another mesh are refused', async () => {
  const [member, stranger] = [await newSigner(), await newSigner()]
  const chain = await admit(founder, root, member, 'member')
  const codes = [
    await revoke(member, chain, { peer: founder.peer }),
    await revoke(stranger, root, { peer: founder.peer }),
    { ...(await revoke(founder, root, { peer: member.peer })), signature: new Uint8Array(64) },
    { bytes: canonicalBytes({ v: 2 }), signature: new Uint8Array(64), chain: root },
  ].map((signed) => codeOf(verifyRevocation(mesh.peer, signed)))
  expect(await Promise.all(codes)).toEqual(['E_NOT_ADMIN', 'E_CERT_INVALID', 'E_CERT_INVALID', 'E_CERT_INVALID'])
  const good = await revoke(founder, root, { peer: member.peer })
  expect(await codeOf(verifyRevocation(stranger.peer, good))).toBe('E_MESH_MISMATCH')
})

test('sets of revocations merge to the same digest in any order, and stop growing at their limit', async () => {
  const signed = await Promise.all(['a', 'b', 'c', 'd'].map((token) => revoke(founder, root, { token })))
  const digest = (await setOf(...signed)).digest()
  await fc.assert(
    fc.asyncProperty(fc.shuffledSubarray([...signed, ...signed], { minLength: 8 }), async (order) => {
      expect((await setOf(...order)).digest()).toBe(digest)
    }),
  )
  const full = new RevocationSet()
  const content = { v: 1 as const, mesh: mesh.peer, issuer: founder.peer }
  for (let at = 0; at < LIMITS.REVOCATIONS_MAX; at += 1) {
    const target = { token: String(at) }
    full.add({ ...content, target }, { bytes: canonicalBytes(target), signature: new Uint8Array(), chain: root })
  }
  const [one] = signed
  if (one === undefined) throw new Error('no revocation')
  expect(() => full.add({ ...content, target: { token: 'a' } }, one)).toThrow(
    expect.objectContaining({ code: 'E_FLOOD' }),
  )
})
