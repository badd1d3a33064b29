/** What finding each other costs in a mesh of one size: time and messages to join, to look up, to place work, and to stand by. */

import type { Member } from './member.ts'
import { SimulatedMesh } from './mesh.ts'
import { MACHINES, NODE } from './parameters.ts'
import type { TableRule } from './table.ts'

export type Figures = {
  peers: number
  /** A newcomer until so many peers are connected, milliseconds; median. */
  joinMs: number
  /** What it sends in its first ten seconds, handshakes included; mean. */
  joinMessages: number
  /** A node until it has heard of so many matching peers; median. */
  lookupMs: number
  lookupMessages: number
  /** A newcomer with a job until a first, and a twentieth, matching peer has units; median. */
  placementFirstMs: number
  placementMs: number
  /** Sent by a node in a minute, signs of life and ads included: mean, and without those. */
  messagesPerMinute: number
  searchPerMinute: number
  /** Asked of the busiest node by others, signs of life and ads included. */
  hottestPerMinute: number
  /** Contacts in a routing table; mean. */
  tableSize: number
  /** Most providers held for one key, and the part of those found that are gone. */
  recordsOfKey: number
  deadShare: number
}

export type ExperimentInit = {
  seed: number
  peers: number
  rule?: TableRule
  windowMs?: number
  joins?: number
  lookups?: number
}

const WANTED = 20
const WARM_MS = 10_000
const JOIN_MS = 10_000
const MINUTE_MS = 60_000

export function experiment({
  seed,
  peers,
  rule,
  windowMs = 20_000,
  joins = 40,
  lookups = 200,
}: ExperimentInit): Figures {
  const mesh = new SimulatedMesh({ seed, peers, ...(rule === undefined ? {} : { rule }) })
  mesh.run(WARM_MS)
  return { peers, ...standBy(mesh, windowMs), ...lookUp(mesh, lookups), ...join(mesh, joins) }
}

function standBy(mesh: SimulatedMesh, windowMs: number) {
  const before = new Map(mesh.alive.map((member) => [member, { sent: member.sent, served: member.served }]))
  mesh.run(windowMs)
  const scale = MINUTE_MS / windowMs
  const rows = [...before].flatMap(([member, { sent, served }]) => {
    if (!member.alive) return []
    // More than may stay are held for seconds only.
    const standing = Math.min(member.connections.size, NODE.idleMax) * (MINUTE_MS / NODE.beatMs + MINUTE_MS / NODE.adMs)
    return [{ search: (member.sent - sent) * scale, standing, served: (member.served - served) * scale + standing }]
  })
  const holds = mesh.alive.flatMap(({ records }) => [...records.values()].map(({ size }) => size))
  return {
    searchPerMinute: mean(rows.map(({ search }) => search)),
    messagesPerMinute: mean(rows.map(({ search, standing }) => search + standing)),
    hottestPerMinute: Math.max(...rows.map(({ served }) => served)),
    tableSize: mean(mesh.alive.map(({ table }) => table.size)),
    recordsOfKey: holds.reduce((most, size) => Math.max(most, size), 0),
  }
}

function lookUp(mesh: SimulatedMesh, count: number) {
  const times: number[] = []
  const messages: number[] = []
  let [found, dead] = [0, 0]
  for (let i = 0; i < count; i++) {
    const startedAt = mesh.world.now
    let here = 0
    let took = NODE.findMs
    const hear = (peer: Member) => {
      found += 1
      here += 1
      if (!peer.alive) dead += 1
      if (here === Math.min(WANTED, mesh.alive.length - 1)) took = mesh.world.now - startedAt
    }
    mesh.world.pick(mesh.alive).rendezvous.find('peer', WANTED, hear, (requests) => {
      messages.push(2 * requests)
      times.push(took)
    })
    if (i % 20 === 19) mesh.run(250)
  }
  mesh.run(NODE.findMs)
  return { lookupMs: median(times), lookupMessages: mean(messages), deadShare: dead / found }
}

function join(mesh: SimulatedMesh, count: number) {
  const newcomers = Array.from({ length: count }, () => {
    const newcomer = mesh.join()
    const startedAt = mesh.world.now
    const watched = { newcomer, connected: [] as number[], placed: [] as number[] }
    const joined = newcomer.onConnected
    newcomer.onConnected = (peer) => {
      watched.connected.push(mesh.world.now - startedAt)
      const session = 2 * (newcomer.accessMs + peer.accessMs) * MACHINES.placementRoundTrips
      if (peer.matching) watched.placed.push(mesh.world.now - startedAt + session)
      joined?.(peer)
    }
    mesh.run(100)
    return watched
  })
  mesh.run(JOIN_MS)
  const at = (times: number[], n: number) => times.toSorted((a, b) => a - b)[n - 1] ?? JOIN_MS
  const all = mesh.alive.length - 1
  return {
    joinMs: median(newcomers.map(({ connected }) => at(connected, Math.min(WANTED, all)))),
    joinMessages: mean(newcomers.map(({ newcomer }) => newcomer.sent - newcomer.answered)),
    placementFirstMs: median(newcomers.map(({ placed }) => at(placed, 1))),
    placementMs: median(
      newcomers.map(({ placed }) => at(placed, Math.min(WANTED, Math.floor(all * MACHINES.matching * 0.8)))),
    ),
  }
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
