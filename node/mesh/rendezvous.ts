/**
 * Finding each other in the DHT: provider records under keys every member can compute and nobody else can.
 *
 * A key is hash(mesh, capability, shard). Small meshes have one shard; from about 200 peers on, a peer provides under the
 * top bits of the hash of its id and searchers draw shards at random, so no key grows past what one record holder bears.
 * A record is a hint: whoever it names is dialled and must pass the handshake.
 */

import { createHash } from 'node:crypto'
import type { Multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createDigest } from 'multiformats/hashes/digest'
import { LIMITS } from '../../protocol/limits.ts'
import type { MeshHost } from './host.ts'
import type { Neighbourhood } from './neighbourhood.ts'
import { Pulse } from './pulse.ts'

/** `work-wanted`: nodes with units to give; `peer`: any. What a peer runs is told by its ad, once it is met. */
export type Capability = 'work-wanted' | 'peer'

const SHA2_256 = 0x12
const PEERS_PER_SHARD = 200
export const PROVIDE_EVERY_MS = 10 * 60_000
const PROVIDE_TIMEOUT_MS = 60_000
const SHARD_BITS_MAX = 16
/** Two looks at the same large mesh differ by this part at most, as a rule. */
const SIZE_NOISE = 0.25

type RendezvousComponents = {
  host: MeshHost
  mesh: string
  neighbourhood: Pick<Neighbourhood, 'size' | 'lookAround'>
  /** What to provide now; nothing for a node that cannot be dialled. */
  offers(): Capability[]
}

type Provided = { key: CID; at: number; meshSize: number }

export class Rendezvous {
  readonly #components: RendezvousComponents
  readonly #pulse: Pulse
  readonly #stopped = new AbortController()
  readonly #provided = new Map<Capability, Provided>()

  constructor(components: RendezvousComponents) {
    this.#components = components
    this.#pulse = new Pulse(PROVIDE_EVERY_MS, () => this.#provideAll())
  }

  start(): void {
    this.#pulse.start()
  }

  stop(): void {
    this.#stopped.abort()
    this.#pulse.stop()
  }

  /** The offers or the neighbourhood changed: provides again soon, in the background. */
  refresh(): void {
    this.#pulse.hurry(300)
  }

  /**
   * The first `count` providers of a random shard and of its neighbours in size, as they come. Never waits for the end of a
   * query: that takes the slowest peer of the DHT. Ends after `RENDEZVOUS_LOOKUP_MS` with what was found.
   */
  async *find(capability: Capability, count: number): AsyncGenerator<{ id: string; addresses: Multiaddr[] }> {
    const { host, mesh, neighbourhood } = this.#components
    const signal = this.#within(LIMITS.RENDEZVOUS_LOOKUP_MS)
    const seen = new Set([host.peerId.toString()])
    try {
      if (neighbourhood.size === 0) await neighbourhood.lookAround()
      for (const at of shardBitsAbout(neighbourhood.size)) {
        const shard = Math.floor(Math.random() * 2 ** at)
        for await (const event of host.services.dht.findProviders(keyOf(mesh, capability, at, shard), { signal })) {
          if (event.name !== 'PROVIDER') continue
          for (const { id, multiaddrs } of event.providers) {
            if (seen.has(id.toString())) continue
            seen.add(id.toString())
            yield { id: id.toString(), addresses: multiaddrs }
            if (seen.size > count) return
          }
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  async #provideAll(): Promise<void> {
    const { host, mesh, neighbourhood, offers } = this.#components
    if (host.getPeers().length === 0) return
    await neighbourhood.lookAround()
    const bits = shardBits(neighbourhood.size)
    const wanted = new Map(
      offers().map((capability) => [capability, keyOf(mesh, capability, bits, shardOf(host.peerId.toString(), bits))]),
    )
    for (const [capability, { key }] of this.#provided) {
      if (wanted.get(capability)?.equals(key)) continue
      await host.services.dht.cancelReprovide(key)
      this.#provided.delete(capability)
    }
    for (const [capability, key] of wanted) {
      const last = this.#provided.get(capability)
      const meshSize = neighbourhood.size
      if (last !== undefined && isFresh(last, meshSize, performance.now())) continue
      this.#provided.set(capability, { key, at: Number.NEGATIVE_INFINITY, meshSize })
      const signal = this.#within(PROVIDE_TIMEOUT_MS)
      for await (const _ of host.services.dht.provide(key, { signal }));
      this.#provided.set(capability, { key, at: performance.now(), meshSize })
    }
  }

  #within(ms: number): AbortSignal {
    return AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(ms)])
  }
}

/**
 * Whether the holders of a record are still those it was sent to: it is not old, and the mesh looks as large as then. A newcomer
 * finds a few peers one after the other; a mesh that forms changes with each.
 */
export function isFresh({ at, meshSize }: Pick<Provided, 'at' | 'meshSize'>, sizeNow: number, now: number): boolean {
  return now - at < PROVIDE_EVERY_MS / 2 && Math.abs(sizeNow - meshSize) <= meshSize * SIZE_NOISE
}

/** Bits of shard for a mesh of about this many peers: none up to 200, then one for each doubling. */
export function shardBits(peers: number): number {
  return Math.min(SHARD_BITS_MAX, Math.max(0, Math.ceil(Math.log2(Math.max(1, peers) / PEERS_PER_SHARD))))
}

/** Others may have estimated half as many peers, or twice as many: first what is likely, then what is possible. */
export function shardBitsAbout(peers: number): number[] {
  return [...new Set([peers, peers / 2, peers * 2].map(shardBits))]
}

/** The shard of a peer: the top bits of the hash of its id. */
export function shardOf(peer: string, bits: number): number {
  return bits === 0 ? 0 : createHash('sha256').update(peer).digest().readUInt32BE(0) >>> (32 - bits)
}

export function keyOf(mesh: string, capability: Capability, bits: number, shard: number): CID {
  const text = `talkoot/1/rendezvous\0${mesh}\0${capability}\0${bits}\0${shard}`
  const hash = createHash('sha256').update(text).digest()
  return CID.createV1(raw.code, createDigest(SHA2_256, hash))
}
