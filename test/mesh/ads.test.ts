import { generateKeyPair } from '@libp2p/crypto/keys'
import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { AdPress, AdReader } from '../../node/mesh/ads.ts'
import { canonicalBytes, decodeCanonical } from '../../protocol/canonical.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { signerOf } from '../../protocol/signatures.ts'
import { AD } from './ad.ts'
import { memoryMeshStore } from './memory-store.ts'
import { codeOf } from './nodes.ts'

const signer = signerOf(await generateKeyPair('Ed25519'))
const other = signerOf(await generateKeyPair('Ed25519'))
const PLACE = { mesh: other.peer, reach: 'dialable' as const, addresses: ['/ip4/127.0.0.1/tcp/1'] }
const reader = () => new AdReader(PLACE.mesh)
const sign = async (ad: unknown) => {
  const bytes = canonicalBytes(ad)
  return { bytes, signature: await signer.sign('ad', bytes) }
}

test('each ad has a higher number, even after the state was restored from an old copy', async () => {
  const store = memoryMeshStore()
  const press = new AdPress(store, signer)
  const read = reader()
  let last = 0
  vi.useFakeTimers({ toFake: ['Date'] })
  try {
    // Two in one millisecond; what is restored is of a while ago.
    for (const kept of [undefined, undefined, 1]) {
      if (kept !== undefined) {
        store.keepAdSeq(kept)
        vi.advanceTimersByTime(1_000)
      }
      const ad = await read.read(signer.peer, await press.print(AD, PLACE))
      expect(ad.seq).toBeGreaterThan(last)
      expect(read.isCurrent(ad)).toBe(true)
      last = ad.seq
    }
  } finally {
    vi.useRealTimers()
  }
})

test('an ad older than one already seen is not current; the same one is', async () => {
  const press = new AdPress(memoryMeshStore(), signer)
  const read = reader()
  const [first, second] = [await press.print(AD, PLACE), await press.print(AD, PLACE)]
  const [older, newer] = [await read.read(signer.peer, first), await read.read(signer.peer, second)]
  expect([newer, newer, older].map((ad) => read.isCurrent(ad))).toEqual([true, true, false])
})

test('any flipped bit, another signer, another mesh, an unknown field and an excess of bytes are refused', async () => {
  const press = new AdPress(memoryMeshStore(), signer)
  const signed = await press.print(AD, PLACE)
  const ad = decodeCanonical(signed.bytes) as Record<string, unknown>
  await fc.assert(
    fc.asyncProperty(fc.nat(signed.bytes.length - 1), fc.nat(7), async (at, bit) => {
      const bytes = signed.bytes.slice()
      bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
      expect(await codeOf(reader().read(signer.peer, { ...signed, bytes }))).toBe('E_AD_INVALID')
    }),
    { numRuns: 50 },
  )
  expect(await codeOf(reader().read(other.peer, signed))).toBe('E_AD_INVALID')
  expect(await codeOf(new AdReader(signer.peer).read(signer.peer, signed))).toBe('E_AD_INVALID')
  for (const change of [
    { extra: 1 },
    { cpus: -1 },
    { ttlMs: LIMITS.AD_TTL_MS + 1 },
    { name: 'n'.repeat(65) },
    { v: 2 },
  ]) {
    expect(await codeOf(reader().read(signer.peer, await sign({ ...ad, ...change })))).toBe('E_AD_INVALID')
  }
  expect(await codeOf(reader().read(signer.peer, await sign('n'.repeat(LIMITS.AD_MAX_BYTES))))).toBe('E_AD_INVALID')
})

test('an ad of our own that would be over the limit is not printed', async () => {
  const labels = Object.fromEntries(
    Array.from({ length: LIMITS.AD_LABELS_MAX }, (_, at) => [`${at}`.padEnd(64, 'é'), 'é'.repeat(64)]),
  )
  const runtimes = Array.from({ length: 16 }, () => ({
    kind: 'é'.repeat(64),
    version: 'é'.repeat(64),
    confinement: 'os' as const,
  }))
  const press = new AdPress(memoryMeshStore(), signer)
  expect(await codeOf(press.print({ ...AD, labels, runtimes }, PLACE))).toBe('E_AD_INVALID')
})
