/** One simulated node of the mesh: the routines of node/mesh and of the DHT library, and what they cost. */

import { Lookup, type Reply } from './lookup.ts'
import type { SimulatedMesh } from './mesh.ts'
import { LIBRARY, MACHINES, NODE } from './parameters.ts'
import { Rendezvous } from './rendezvous.ts'
import { Table } from './table.ts'

export type Request = { kind: 'find' | 'providers' | 'ping'; key: number } | { kind: 'add'; key: number }

export class Member {
  readonly id: number
  readonly mesh: SimulatedMesh
  readonly table: Table
  readonly rendezvous: Rendezvous
  /** Since when each peer is connected. */
  readonly connections = new Map<Member, number>()
  /** Provider records by key: who, and until when. */
  readonly records = new Map<number, Map<Member, number>>()
  readonly accessMs: number
  readonly matching: boolean
  readonly submits: boolean
  alive = true
  /** A dead machine refuses at once, or is not heard of. */
  silent = false
  /** Told of each new connection, in the order they come. */
  onConnected: ((peer: Member) => void) | null = null
  sent = 0
  received = 0
  /** Of `received`: what others asked, and the handshakes they began. */
  served = 0
  dials = 0
  /** Of `sent`: answers to others. */
  answered = 0
  /** Requests it made, by kind. */
  readonly asked = { find: 0, providers: 0, ping: 0, add: 0 }
  readonly #offers: Member[] = []
  readonly #offered = new Set<number>()
  #updating = 0

  constructor(mesh: SimulatedMesh, id: number) {
    const { world } = mesh
    this.mesh = mesh
    this.id = id
    this.table = new Table(id, mesh.rule, mesh.dht.kBucketSize)
    this.accessMs = world.logBetween(MACHINES.accessMs[0], MACHINES.accessMs[1])
    this.matching = world.chance(MACHINES.matching)
    this.submits = world.chance(MACHINES.submitters)
    this.silent = world.chance(0.5)
    this.rendezvous = new Rendezvous(this)
  }

  /** The routines that repeat; a node long in the mesh is somewhere in the middle of each. */
  start(): void {
    this.mesh.every(this, NODE.refreshMs, () => this.refresh())
    this.mesh.every(this, NODE.sweepMs, () => this.#sweep())
    this.mesh.every(this, NODE.beatMs, () => this.#thin())
    this.rendezvous.start()
  }

  refresh(): void {
    this.lookup('find', this.id, { ended: () => undefined })
    this.lookup('find', this.mesh.randomId(), { ended: () => undefined })
  }

  lookup(
    kind: 'find' | 'providers',
    key: number,
    then: { heard?: (peer: Member, reply: NonNullable<Reply>) => void; ended(answered: number[]): void },
  ): Lookup {
    const { dht, world } = this.mesh
    const start = this.table.nearest(key)
    for (let i = start.length - 1; i > 0; i--) {
      const j = world.int(0, i)
      const [a, b] = [start[i], start[j]]
      if (a !== undefined && b !== undefined) [start[i], start[j]] = [b, a]
    }
    return new Lookup({
      self: this.id,
      key,
      start,
      dht,
      ask: (id, heard) => this.ask(this.mesh.member(id), { kind, key }, heard),
      heard: (id, reply) => then.heard?.(this.mesh.member(id), reply),
      ended: then.ended,
    })
  }

  /** Sends a request, over a connection it has or opens, and hears the reply or, in time, that there is none. */
  ask(to: Member, request: Request, heard: (reply: Reply) => void): void {
    const { mesh } = this
    const round = 2 * (this.accessMs + to.accessMs)
    this.asked[request.kind] += 1
    this.#connect(to, round, (connected) => {
      if (!connected) return heard(null)
      this.sent += 1
      mesh.world.after(round * MACHINES.requestRoundTrips + MACHINES.serviceMs, () => {
        if (!to.alive || !this.alive) return heard(null)
        to.received += 1
        to.served += 1
        const reply = to.#answer(this, request)
        if (request.kind !== 'add') {
          to.sent += 1
          to.answered += 1
          this.received += 1
        }
        if (request.kind === 'find' || request.kind === 'providers') {
          this.offer(to)
          for (const id of reply.closer) this.offer(mesh.member(id))
        }
        heard(reply)
      })
    })
  }

  /** A node heard of waits its turn to come into the table. */
  offer(peer: Member): void {
    const { id } = peer
    if (id === this.id || this.table.has(id) || this.#offered.has(id)) return
    this.#offered.add(id)
    this.#offers.push(peer)
    if (this.#updating < LIBRARY.updatesAtOnce) this.#update()
  }

  #update(): void {
    const peer = this.#offers.shift()
    if (peer === undefined) return
    this.#updating += 1
    this.#admit(peer, () => {
      this.#updating -= 1
      this.#offered.delete(peer.id)
      this.#update()
    })
  }

  /** It is asked before it comes into the table, and the contact longest not asked before that makes room. */
  #admit({ id }: Member, done: () => void): void {
    const { world } = this.mesh
    if (this.table.hasRoom(id)) {
      this.#ping(id, (alive) => {
        if (alive) this.table.add(id, world.now)
        done()
      })
      return
    }
    const [oldest] = this.table.toAsk(id, world.now)
    if (oldest === undefined) {
      done()
      return
    }
    oldest.askedAt = world.now
    this.#ping(oldest.id, (alive) => {
      if (!alive) this.table.remove(oldest.id)
      if (this.table.hasRoom(id)) this.#admit(this.mesh.member(id), done)
      else done()
    })
  }

  /** Whoever is connected is not asked. */
  #ping(id: number, heard: (alive: boolean) => void): void {
    const peer = this.mesh.member(id)
    if (this.connections.has(peer)) heard(true)
    else this.ask(peer, { kind: 'ping', key: 0 }, (reply) => heard(reply !== null))
  }

  dial(to: Member, done: (connected: boolean) => void): void {
    this.#connect(to, 2 * (this.accessMs + to.accessMs), done)
  }

  disconnect(peer: Member): void {
    this.connections.delete(peer)
    peer.connections.delete(this)
  }

  #connect(to: Member, round: number, done: (connected: boolean) => void): void {
    const { world } = this.mesh
    if (this.connections.has(to)) {
      done(true)
      return
    }
    this.dials += 1
    const refusedMs = to.alive
      ? to.connections.size < NODE.connectionsMax
        ? null
        : round
      : to.silent
        ? MACHINES.deadTimeoutMs
        : round / 2
    if (refusedMs !== null) {
      world.after(refusedMs, () => done(false))
      return
    }
    world.after(round * MACHINES.dialRoundTrips, () => {
      if (!to.alive || !this.alive) return done(false)
      to.served += MACHINES.dialMessages
      for (const side of [this, to]) {
        side.sent += MACHINES.dialMessages
        side.received += MACHINES.dialMessages
      }
      if (!this.connections.has(to)) {
        this.connections.set(to, world.now)
        to.connections.set(this, world.now)
        to.offer(this)
        this.offer(to)
        this.onConnected?.(to)
        to.onConnected?.(this)
      }
      done(true)
    })
  }

  #answer(from: Member, { kind, key }: Request): NonNullable<Reply> {
    const { now } = this.mesh.world
    if (kind === 'add') {
      const records = this.records.get(key) ?? new Map<Member, number>()
      this.records.set(key, records.set(from, now + NODE.records.validity + NODE.records.interval / 2))
      return { closer: [], providers: [] }
    }
    if (kind === 'ping') return { closer: [], providers: [] }
    const providers: number[] = []
    if (kind === 'providers') {
      for (const [provider, until] of this.records.get(key) ?? []) {
        if (until > now) providers.push(provider.id)
        else this.records.get(key)?.delete(provider)
      }
    }
    return { closer: this.table.nearest(key, from.id), providers }
  }

  /** node/mesh/discovery.ts: contacts that are not connected are dialled, the dead removed. */
  #sweep(): void {
    const idle = [...this.table.contacts()]
      .map(({ id }) => this.mesh.member(id))
      .filter((peer) => !this.connections.has(peer))
    for (let i = 0; i < NODE.sweepContacts && idle.length > 0; i++) {
      const [peer] = idle.splice(this.mesh.world.int(0, idle.length - 1), 1)
      if (peer !== undefined) this.dial(peer, (connected) => !connected && this.table.remove(peer.id))
    }
  }

  /** node/mesh/crowd.ts */
  #thin(): void {
    if (this.connections.size <= NODE.idleMax) return
    const peers = [...this.connections.keys()]
    for (let surplus = peers.length - NODE.idleMax; surplus > 0; surplus--) {
      const [peer] = peers.splice(this.mesh.world.int(0, peers.length - 1), 1)
      if (peer !== undefined) this.disconnect(peer)
    }
  }
}
