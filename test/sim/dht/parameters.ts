/**
 * What the simulated mesh is made of. Whatever the node decides comes from its own code; the rest is a model of the
 * library and of machines: docs/scale.md says why each is as it is.
 */

import { DIALS_AT_ONCE, TICK_MS } from '../../../node/mesh/connector.ts'
import {
  LOOK_FOR_PEERS_MS,
  LOOK_FOR_WORK_MS,
  SWEEP_CONTACTS,
  SWEEP_MS,
  WORK_PROVIDERS,
} from '../../../node/mesh/discovery.ts'
import { DHT_DEFAULT, RECORD_AGES, REFRESH_MS } from '../../../node/mesh/host.ts'
import { PROVIDE_EVERY_MS } from '../../../node/mesh/rendezvous.ts'
import { LIMITS } from '../../../protocol/limits.ts'

export const NODE = {
  dht: DHT_DEFAULT,
  records: RECORD_AGES,
  lookForPeersMs: LOOK_FOR_PEERS_MS,
  lookForWorkMs: LOOK_FOR_WORK_MS,
  workProviders: WORK_PROVIDERS,
  provideEveryMs: PROVIDE_EVERY_MS,
  /** Queries for the own id and for a random one, this often. */
  refreshMs: REFRESH_MS,
  sweepMs: SWEEP_MS,
  sweepContacts: SWEEP_CONTACTS,
  connectorTickMs: TICK_MS,
  dialsAtOnce: DIALS_AT_ONCE,
  peersWanted: LIMITS.PEERS_WANTED,
  connectionsMax: LIMITS.CONNECTIONS_MAX,
  idleMax: LIMITS.CONNECTIONS_IDLE_MAX,
  beatMs: LIMITS.PEER_BEAT_MS,
  adMs: LIMITS.AD_TTL_MS / 3,
  findMs: LIMITS.RENDEZVOUS_LOOKUP_MS,
} as const

/** The library's own: @libp2p/kad-dht 16. */
export const LIBRARY = {
  /** ADD_PROVIDER messages at once. */
  alphaOfProvides: 10,
  /** Changes of the routing table at once: twice alpha. */
  updatesAtOnce: 6,
  /** A contact known to be alive is not pinged again sooner. */
  askAgainMs: 10 * 60_000,
  /** The bits of prefix its trie tells apart, where it is left to its own rule. */
  trieBits: 6,
} as const

export const MACHINES = {
  /** One way from a machine to the middle of the network, milliseconds; log-uniform. A round trip is twice the sum of two. */
  accessMs: [0.5, 30],
  /** Round trips of a dial: TCP, multistream, noise with membership inside, muxer, identify. */
  dialRoundTrips: 5,
  /** Of a request on an open connection: the stream's negotiation and the exchange. */
  requestRoundTrips: 2,
  /** Of the first unit over an open connection: session, job and its acceptance. */
  placementRoundTrips: 3,
  /** Handshake messages each side sends. */
  dialMessages: 4,
  serviceMs: 2,
  /** Half of the dead refuse at once, the others are not heard of until this. */
  deadTimeoutMs: LIMITS.DIAL_TIMEOUT_MS,
  /** Mean life of a node; as many come as go. */
  lifeMs: 3_600_000,
  /** Of all nodes, those with work to give. */
  submitters: 0.01,
  /** Of all nodes, those a job's requirement admits. */
  matching: 0.5,
} as const
