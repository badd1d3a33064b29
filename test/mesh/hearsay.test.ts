import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection } from '@libp2p/interface'
import { afterEach, expect, test, vi } from 'vitest'
import type { Admission } from '../../node/mesh/admission.ts'
import { AdPress, AdReader } from '../../node/mesh/ads.ts'
import { Hearsay, type Testimony } from '../../node/mesh/hearsay.ts'
import { loadMesh } from '../../node/mesh/identity.ts'
import { Introductions, SIGN_OF_LIFE_MS } from '../../node/mesh/introductions.ts'
import { Membership } from '../../node/mesh/membership.ts'
import { memoryChannels } from '../../node/mesh/memory-channel.ts'
import { PeerTable } from '../../node/mesh/peers.ts'
import { Sync, type SyncComponents } from '../../node/mesh/sync.ts'
import { canonicalBytes } from '../../protocol/canonical.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Chain } from '../../protocol/membership/index.ts'
import { type Signer, signerOf } from '../../protocol/signatures.ts'
import { AD } from './ad.ts'
import { memoryMeshStore } from './memory-store.ts'
import { HOUR_MS, sees, startMember, startNode, startProcess, until } from './nodes.ts'

const newSigner = async () => signerOf(await generateKeyPair('Ed25519'))
const signer = await newSigner()
const store = memoryMeshStore()
const facts = await loadMesh(store, signer, { kind: 'private', name: '' })
const membership = await Membership.load(store, signer, facts)
const ADDRESSES = ['/ip4/127.0.0.1/tcp/1']

type Told = { who?: Signer; chain?: Chain; silentMs?: number; mesh?: string }

async function tell({ who, chain, silentMs = 0, mesh = facts.id }: Told = {}): Promise<Testimony> {
  const peer = who ?? (await newSigner())
  const place = { mesh, reach: 'dialable' as const, addresses: ADDRESSES }
  const ad = await new AdPress(store, peer).print(AD, place)
  return { ad, chain: chain ?? (await membership.admit(peer.peer, 'worker', 'token')), silentMs }
}

function hearsay() {
  const ads = new AdReader(facts.id)
  return { ads, heard: new Hearsay({ membership, ads }) }
}

afterEach(() => {
  vi.useRealTimers()
})

test('what is kept of a peer told of is its own word and its certificates', async () => {
  const { heard } = hearsay()
  const who = await newSigner()
  const ad = await heard.take(await tell({ who, silentMs: 5_000 }))
  expect(ad).toMatchObject({ ...AD, peer: who.peer, addresses: ADDRESSES })
  expect(heard.list()).toMatchObject([{ id: who.peer, role: 'worker', ad }])
  expect(heard.list()[0]?.silentMs).toBeGreaterThanOrEqual(5_000)
  heard.forget(who.peer)
  expect(heard.list()).toEqual([])
})

test('an ad that was altered or is of another mesh, and a chain that is missing, of another peer or revoked, are worth nothing', async () => {
  const { heard } = hearsay()
  const good = await tell()
  const altered = {
    ...good.ad,
    bytes: good.ad.bytes.map((byte, at) => (at === good.ad.bytes.length - 1 ? byte ^ 1 : byte)),
  }
  const revoked = await newSigner()
  const chain = await membership.admit(revoked.peer, 'member', 'token')
  await membership.revoke({ peer: revoked.peer })
  for (const told of [
    { ...good, ad: altered },
    { ...good, ad: { ...good.ad, bytes: new Uint8Array([1, 2, 3]) } },
    await tell({ mesh: signer.peer }),
    await tell({ chain: [] }),
    await tell({ chain: good.chain }),
    await tell({ who: revoked, chain }),
  ]) {
    expect(await heard.take(told)).toBeNull()
  }
  expect(heard.list()).toEqual([])
})

test('a peer revoked after it was told of is told of no more', async () => {
  const { heard } = hearsay()
  const who = await newSigner()
  await heard.take(await tell({ who }))
  await membership.revoke({ peer: who.peer })
  expect(heard.list()).toEqual([])
})

test('an ad older than one the peer itself gave, or others told of, changes nothing; one told of does not outdate the peer', async () => {
  const { heard, ads } = hearsay()
  const who = await newSigner()
  const older = await tell({ who })
  const newer = await tell({ who })
  const now = await heard.take(newer)
  await heard.take(older)
  expect(heard.list().map(({ ad }) => ad.seq)).toEqual([now?.seq])
  // What the peer says itself may have been under way when a newer ad was told of.
  const said = await ads.read(who.peer, older.ad)
  expect(ads.isCurrent(said)).toBe(true)
  expect(ads.isCurrent(await ads.read(who.peer, newer.ad))).toBe(true)
  heard.forget(who.peer)
  expect(await heard.take(older)).toBeNull()
})

test('it stands for half a minute after the sign of life that was told of, and any number are told of', async () => {
  vi.useFakeTimers()
  const { heard } = hearsay()
  const [fresh, stale] = [await newSigner(), await newSigner()]
  await heard.take(await tell({ who: fresh }))
  await heard.take(await tell({ who: stale, silentMs: 20_000 }))
  const ids = () => heard.list().map(({ id }) => id)
  expect(ids()).toEqual([fresh.peer, stale.peer])
  vi.advanceTimersByTime(LIMITS.PEER_SILENCE_MS - 20_000)
  expect(ids()).toEqual([fresh.peer])
  vi.advanceTimersByTime(20_000)
  expect(ids()).toEqual([])

  const ending = await newSigner()
  await heard.take(await tell({ who: ending, silentMs: 1_000 }))
  for (let i = 0; i < LIMITS.PEERS_HEARD_OF_MAX; i++) await heard.take(await tell())
  expect(ids()).toHaveLength(LIMITS.PEERS_HEARD_OF_MAX)
  expect(ids()).not.toContain(ending.peer)
})

test('of the peers held, those that gave no sign of life when it was due are introduced last, those given up not at all', () => {
  vi.useFakeTimers()
  const peers = new PeerTable(() => undefined)
  for (let i = 0; i < 8; i++) {
    const id = `peer${i}`
    const ad = { ...AD, addresses: ADDRESSES, ttlMs: HOUR_MS, seq: 1 }
    peers.expect({ peer: id, ad, standing: { role: 'member', chain: [] } } as unknown as Admission)
    peers.opened({ remotePeer: id, remoteAddr: '' } as unknown as Connection, { isWanted: true })
  }
  const introductions = new Introductions({
    peers,
    hearsay: hearsay().heard,
    connector: { promising: 0, suggest: () => true },
    outboundOnly: false,
  })
  vi.advanceTimersByTime(SIGN_OF_LIFE_MS + 1)
  for (let i = 0; i < 4; i++) peers.heard(`peer${2 * i}`)
  const silences = (count: number) => introductions.choose('newcomer', count).map(({ silentMs }) => silentMs)
  for (let i = 0; i < 20; i++) expect(silences(5)).toEqual([0, 0, 0, 0, SIGN_OF_LIFE_MS + 1])
  vi.advanceTimersByTime(LIMITS.PEER_SILENCE_MS - SIGN_OF_LIFE_MS)
  expect(silences(8)).toHaveLength(4)
  peers.clear()
})

test('a newcomer knows a member that is stalled from those who told of it, until it has dialled it, and meets it when it is back', async () => {
  const admin = await startNode()
  const { child, peerId } = await startProcess(admin.createToken({ uses: 1, ttlMs: HOUR_MS, role: 'worker' }).text)
  await until(() => sees(admin, { peerId }))
  child.kill('SIGSTOP')
  const newcomer = await startMember(admin)
  await until(() => newcomer.heardOf().some(({ id }) => id === peerId))
  expect(newcomer.heardOf()).toMatchObject([{ id: peerId, role: 'worker', ad: AD }])
  expect(sees(newcomer, { peerId })).toBe(false)
  await until(() => newcomer.heardOf().length === 0, LIMITS.DIAL_TIMEOUT_MS + 60_000)
  child.kill('SIGCONT')
  await until(() => sees(newcomer, { peerId }), 90_000)
})

test('no more introductions are looked at than were asked for', async () => {
  const taken: Testimony[] = []
  const introductions = {
    wanted: () => 3,
    take: async (list: readonly Testimony[]) => void taken.push(...list),
    takeNewcomer: async (one: Testimony) => void taken.push(one),
  }
  const told = await tell()
  const sync = new Sync({
    peers: new PeerTable(() => undefined),
    membership,
    introductions,
    currentAd: async () => told.ad,
  } as unknown as SyncComponents)
  const [mine, theirs] = memoryChannels('peer')
  const attached = sync.attach(mine)
  await theirs.send(canonicalBytes({ t: 'peers', list: [told, told] }))
  await theirs.send(canonicalBytes({ t: 'newcomer', peer: told }))
  await theirs.send(canonicalBytes({ t: 'newcomer', peer: told }))
  await theirs.send(canonicalBytes({ t: 'peers', list: [told] }))
  await theirs.close()
  await attached
  expect(taken).toHaveLength(3)
})
