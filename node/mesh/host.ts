/** The libp2p node of one mesh, configured from measured facts: each odd number below answers a trap. */

import { createHash } from 'node:crypto'
import { identify } from '@libp2p/identify'
import type { PeerDiscovery, PrivateKey } from '@libp2p/interface'
import { type KadDHT, kadDHT, passthroughMapper, removePrivateAddressesMapper } from '@libp2p/kad-dht'
import { mdns } from '@libp2p/mdns'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2p } from 'libp2p'
import { LIMITS } from '../../protocol/limits.ts'
import { holdAnswers, networkOf } from './dht-answers.ts'
import { type Handshakes, meshEncrypter } from './encrypter.ts'
import { holdAddresses } from './held-addresses.ts'
import { holdRecords } from './provider-records.ts'
import { holdToBuckets, keepNobody, refreshEvery, routingTableOf, TRIE_DEPTH } from './routing-table.ts'

export type DhtSettings = {
  kBucketSize: number
  alpha: number
  disjointPaths: number
  /** `lan`: private and loopback addresses count; `public`: only addresses the internet can dial. */
  reach: 'lan' | 'public'
}

export const DHT_DEFAULT: DhtSettings = { kBucketSize: 20, alpha: 3, disjointPaths: 3, reach: 'lan' }

/** Fewer holders of each record and fewer contacts: of eight holders, enough outlive half an hour in meshes of some hundred nodes. */
export const DHT_LIGHT: DhtSettings = { kBucketSize: 8, alpha: 3, disjointPaths: 1, reach: 'lan' }

export type HostInit = {
  listen: string[]
  announce: string[]
  outboundOnly: boolean
  mdns: boolean
  dht: DhtSettings
}

export type MeshHost = Libp2p<{ dht: KadDHT; lan?: PeerDiscovery }>

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** Everyone on the LAN answers everyone's question, to everyone: asked each 10 s, 20 nodes heard 23 kB/s. */
const LAN_ASK_MS = 10 * MINUTE_MS

/**
 * Kademlia's own (Maymounkov & Mazieres 2002, section 2.3): this node looks its own id up each ten minutes, and other keys as it goes.
 * The library asks k nodes for each prefix length each five minutes: at 20 nodes half of all traffic.
 */
export const REFRESH_MS = HOUR_MS

/**
 * A record must lapse before the addresses of its provider do, or one lapsed provider fails the whole answer; and soon after its
 * provider has gone, or searchers are sent to the dead. This node provides every ten minutes by itself; the library does so at
 * the threshold, when that has failed.
 */
export const RECORD_AGES = { validity: 30 * MINUTE_MS, threshold: 15 * MINUTE_MS, interval: 5 * MINUTE_MS }
export const PEER_AGES = { maxPeerAge: 24 * HOUR_MS, maxAddressAge: 24 * HOUR_MS }

/** Values are not asked for in a mesh. The library takes public keys from whoever sends them, with megabytes beside, and keeps them for good. */
const keepNothing = async (): Promise<never> => {
  throw new Error('this mesh keeps no values')
}

export async function createHost(
  privateKey: PrivateKey,
  mesh: string,
  handshakes: Handshakes,
  init: HostInit,
): Promise<MeshHost> {
  const hash = createHash('sha256').update(`talkoot mesh ${mesh}`).digest('hex').slice(0, 32)
  const lan = mdns({ serviceTag: `_talkoot-${hash.slice(0, 8)}._udp.local`, interval: LAN_ASK_MS })
  const host = await createLibp2p({
    start: false,
    privateKey,
    addresses: { listen: init.outboundOnly ? [] : init.listen, announce: init.announce },
    transports: [tcp()],
    connectionEncrypters: [meshEncrypter(handshakes)],
    // Its keep-alive would be a third sign of life, each half a minute.
    streamMuxers: [
      yamux({
        enableKeepAlive: false,
        streamOptions: { initialStreamWindowSize: 4 << 20, maxStreamWindowSize: 32 << 20 },
      }),
    ],
    connectionManager: {
      maxConnections: LIMITS.CONNECTIONS_MAX,
      // The defaults (5 a second, 10 pending) reset most of 20 peers that start together.
      inboundConnectionThreshold: 50,
      maxIncomingPendingConnections: LIMITS.HELLO_PENDING_MAX,
      inboundUpgradeTimeout: LIMITS.HANDSHAKE_TIMEOUT_MS,
      dialTimeout: LIMITS.DIAL_TIMEOUT_MS,
      addressDialTimeout: LIMITS.DIAL_TIMEOUT_MS,
      // Reconnection is the connector's: libp2p's own gives a peer up for good after a few failures.
      reconnectRetries: 0,
    },
    // Liveness is the sync channel's beat; the monitor would ping every connection a second time.
    connectionMonitor: { enabled: false },
    peerStore: PEER_AGES,
    services: {
      ...(init.mdns && { lan }),
      identify: identify(),
      ping: ping(),
      dht: kadDHT({
        protocol: `/talkoot/${hash}/kad/1.0.0`,
        clientMode: init.outboundOnly,
        peerInfoMapper: init.dht.reach === 'lan' ? passthroughMapper : removePrivateAddressesMapper,
        kBucketSize: init.dht.kBucketSize,
        prefixLength: TRIE_DEPTH,
        alpha: init.dht.alpha,
        disjointPaths: init.dht.disjointPaths,
        initialQuerySelfInterval: 100,
        querySelfInterval: REFRESH_MS,
        // A lone first node would wait for a peer that never comes.
        allowQueryWithZeroPeers: true,
        reprovide: RECORD_AGES,
        validators: { pk: keepNothing },
      }),
    },
  })
  holdToBuckets(routingTableOf(host), (peer) => host.getConnections(peer).length > 0)
  keepNobody(routingTableOf(host))
  holdRecords(host)
  holdAddresses(host)
  holdAnswers(networkOf(host))
  refreshEvery(host, REFRESH_MS)
  return host
}
