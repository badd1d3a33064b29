/** A simulated mesh that has been up for long: tables, connections and records as its routines keep them, under churn. */

import { createHash } from 'node:crypto'
import type { DhtSettings } from '../../../node/mesh/host.ts'
import { shardBits } from '../../../node/mesh/rendezvous.ts'
import { World } from '../world.ts'
import { Member } from './member.ts'
import { LIBRARY, MACHINES, NODE } from './parameters.ts'
import { distance, type TableRule } from './table.ts'

export type MeshInit = { seed: number; peers: number; rule?: TableRule; dht?: DhtSettings; churn?: boolean }

export class SimulatedMesh {
  readonly world: World
  readonly rule: TableRule
  readonly dht: DhtSettings
  readonly #members = new Map<number, Member>()
  #alive: Member[] = []
  /** The true holders of a key when the mesh was made. */
  readonly #holders = new Map<number, Member[]>()

  constructor({ seed, peers, rule = 'buckets', dht = NODE.dht, churn = true }: MeshInit) {
    this.world = new World(seed)
    this.rule = rule
    this.dht = dht
    for (let i = 0; i < peers; i++) this.#create()
    this.#settle()
    for (const member of this.#alive) member.start()
    if (churn) this.#churn(peers)
  }

  get alive(): readonly Member[] {
    return this.#alive
  }

  member(id: number): Member {
    const member = this.#members.get(id)
    if (member === undefined) throw new RangeError('no such member')
    return member
  }

  randomId(): number {
    return this.world.int(0, 0xffff_fffe)
  }

  keyOf(capability: string, bits: number, shard: number): number {
    return createHash('sha256').update(`${capability} ${bits} ${shard}`).digest().readUInt32BE(0)
  }

  /** Jittered as `Pulse` is, from a random moment of the period on, while the member lives. */
  every(member: Member, ms: number, action: () => void): void {
    const again = () => {
      if (!member.alive) return
      action()
      this.world.after(ms * this.world.between(0.8, 1.2), again)
    }
    this.world.after(this.world.between(0, ms), again)
  }

  /** A newcomer with a token that names one member. */
  join(via: Member = this.world.pick(this.#alive)): Member {
    const member = this.#create()
    member.onConnected = (peer) => {
      member.rendezvous.peerJoined()
      member.rendezvous.askForPeers(peer)
    }
    member.dial(via, () => undefined)
    member.start()
    return member
  }

  leave(member: Member): void {
    member.alive = false
    this.#alive = this.#alive.filter((other) => other !== member)
    for (const peer of member.connections.keys()) member.disconnect(peer)
  }

  run(ms: number): void {
    this.world.run(this.world.now + ms, () => false)
  }

  #create(): Member {
    let id = this.randomId()
    while (this.#members.has(id)) id = this.randomId()
    const member = new Member(this, id)
    this.#members.set(id, member)
    this.#alive.push(member)
    return member
  }

  #settle(): void {
    const sorted = [...this.#alive].sort((a, b) => a.id - b.id)
    for (const member of sorted) {
      this.#fillTable(member, sorted)
      member.rendezvous.size = sorted.length
    }
    for (const member of sorted) this.#connectWarm(member)
    for (const member of sorted) this.#record(member)
  }

  /** Up to k at random of each bucket: whoever was met first. */
  #fillTable({ id, table }: Member, sorted: readonly Member[]): void {
    const { kBucketSize } = this.dht
    const ask = () => this.world.now - this.world.between(0, LIBRARY.askAgainMs)
    const fill = (from: number, to: number) => {
      const [first, last] = [lowerBound(sorted, from), lowerBound(sorted, to)]
      const chosen = new Set<number>()
      while (chosen.size < Math.min(kBucketSize, last - first)) chosen.add(this.world.int(first, last - 1))
      for (const place of chosen) table.add(sorted[place]?.id ?? id, ask())
    }
    if (this.rule === 'trie') {
      const width = 2 ** (32 - LIBRARY.trieBits)
      for (let from = 0; from < 2 ** 32; from += width) fill(from, from + width)
      return
    }
    for (let bits = 0; bits < 32; bits++) {
      const width = 2 ** (31 - bits)
      const from = bucketStart(id, bits)
      fill(from, from + width)
    }
  }

  /** Half of the idle connections a node may keep, to contacts of its table, which it once dialled. */
  #connectWarm(member: Member): void {
    for (const { id } of member.table.contacts()) {
      if (member.connections.size >= NODE.idleMax / 2) return
      const peer = this.member(id)
      if (peer.connections.size >= NODE.idleMax) continue
      member.connections.set(peer, 0)
      peer.connections.set(member, 0)
    }
  }

  #record(member: Member): void {
    const bits = shardBits(this.#alive.length)
    const shard = bits === 0 ? 0 : member.id >>> (32 - bits)
    for (const capability of ['peer', ...(member.submits ? ['work-wanted'] : [])]) {
      const key = this.keyOf(capability, bits, shard)
      for (const holder of this.#nearest(key)) {
        const records = holder.records.get(key) ?? new Map<Member, number>()
        const left = this.world.between(NODE.records.validity - NODE.provideEveryMs, NODE.records.validity)
        holder.records.set(key, records.set(member, left))
      }
    }
  }

  #nearest(key: number): Member[] {
    const known = this.#holders.get(key)
    if (known !== undefined) return known
    const nearest = this.#alive
      .toSorted((a, b) => distance(a.id, key) - distance(b.id, key))
      .slice(0, this.dht.kBucketSize)
    this.#holders.set(key, nearest)
    return nearest
  }

  /** One comes as one goes, at random times, at a rate that gives each a mean life of `lifeMs`. */
  #churn(peers: number): void {
    const meanMs = MACHINES.lifeMs / peers
    const next = () => {
      this.leave(this.world.pick(this.#alive))
      this.join()
      this.world.after(-Math.log(1 - this.world.between(0, 1)) * meanMs, next)
    }
    this.world.after(this.world.between(0, meanMs), next)
  }
}

/** The lowest id that shares exactly `bits` bits of prefix with `id`. */
function bucketStart(id: number, bits: number): number {
  const width = 2 ** (31 - bits)
  return (((id ^ width) >>> 0) - (((id ^ width) >>> 0) % width)) >>> 0
}

function lowerBound(sorted: readonly Member[], id: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle]?.id ?? 0) < id) low = middle + 1
    else high = middle
  }
  return low
}
