/** What node/mesh/rendezvous.ts, discovery.ts, introductions.ts and connector.ts do, in simulated time: provide, seek peers, seek work, dial. */

import { EAGER_GROWTH, workLookShare } from '../../../node/mesh/discovery.ts'
import { sizeOf } from '../../../node/mesh/neighbourhood.ts'
import { isFresh, shardBits, shardBitsAbout } from '../../../node/mesh/rendezvous.ts'
import type { Lookup } from './lookup.ts'
import type { Member } from './member.ts'
import { NODE } from './parameters.ts'
import { distance } from './table.ts'

const ignore = () => undefined
const ID_SPACE = 2 ** 32
const PROVIDED = ['peer'] as const

export class Rendezvous {
  readonly #self: Member
  readonly #candidates: Member[] = []
  readonly #known = new Set<Member>()
  readonly #hurried = new Set<string>()
  readonly #provided = new Map<number, { at: number; meshSize: number }>()
  #dialling = 0
  #connecting = false
  #providing = false
  #wanted = false
  #eagerAt = 0
  #seeking = false
  #seekingWork = false
  size = 0
  /** When the first round of provides was over. */
  providedAt: number | null = null

  constructor(self: Member) {
    this.#self = self
  }

  start(): void {
    const { mesh } = this.#self
    mesh.every(this.#self, NODE.provideEveryMs, () => this.provideAll())
    mesh.every(this.#self, NODE.lookForPeersMs, () => this.seekPeers())
    mesh.every(this.#self, NODE.lookForWorkMs, () => this.seekWork())
  }

  /** A peer came: provide and look again soon, while there are few, whenever they are four times as many. */
  peerJoined(): void {
    const { size } = this.#self.connections
    if (size > NODE.peersWanted || size < EAGER_GROWTH * this.#eagerAt) return
    this.#eagerAt = size
    this.#soon('provide', 300, () => this.provideAll())
    this.#soon('seek', 500, () => this.seekPeers())
    this.#soon('work', 500, () => this.seekWork())
  }

  /** Whoever was met is asked for peers it holds; who comes to it later is not modelled. */
  askForPeers(peer: Member): void {
    const self = this.#self
    const wanted = NODE.peersWanted - self.connections.size - this.#dialling - this.#candidates.length
    if (wanted <= 0) return
    self.sent += 1
    self.mesh.world.after(2 * (self.accessMs + peer.accessMs), () => {
      if (!peer.alive || !self.alive) return
      peer.served += 1
      for (const side of [self, peer]) side.received += 1
      peer.sent += 1
      peer.answered += 1
      const known = [...peer.connections.keys()].filter((one) => one !== self)
      for (let left = Math.min(wanted, known.length); left > 0; left--) {
        const [one] = known.splice(self.mesh.world.int(0, known.length - 1), 1)
        if (one !== undefined) this.#suggest(one)
      }
    })
  }

  /** As `Pulse.hurry`: once for all who ask meanwhile. */
  #soon(what: string, withinMs: number, action: () => void): void {
    if (this.#hurried.has(what)) return
    this.#hurried.add(what)
    const { world } = this.#self.mesh
    world.after(world.between(0, withinMs), () => {
      this.#hurried.delete(what)
      action()
    })
  }

  provideAll(): void {
    if (this.#providing) {
      this.#wanted = true
      return
    }
    this.#providing = true
    this.#lookAround(() => {
      const { mesh, id, submits } = this.#self
      const bits = shardBits(this.size)
      const meshSize = this.size
      const keys = [...PROVIDED, ...(submits ? (['work-wanted'] as const) : [])]
        .map((capability) => mesh.keyOf(capability, bits, bits === 0 ? 0 : id >>> (32 - bits)))
        .filter((key) => {
          const last = this.#provided.get(key)
          return last === undefined || !isFresh(last, meshSize, mesh.world.now)
        })
      const next = () => {
        const key = keys.shift()
        if (key !== undefined) {
          this.provide(key, () => {
            this.#provided.set(key, { at: mesh.world.now, meshSize })
            next()
          })
          return
        }
        this.providedAt ??= mesh.world.now
        this.#providing = false
        if (this.#wanted) this.#soon('provide', 300, () => this.provideAll())
        this.#wanted = false
      }
      next()
    })
  }

  provide(key: number, done: () => void): void {
    const self = this.#self
    self.lookup('find', key, {
      ended: (holders) => {
        let left = holders.length
        if (left === 0) {
          done()
          return
        }
        for (const id of holders) {
          self.ask(self.mesh.member(id), { kind: 'add', key }, () => {
            left -= 1
            if (left === 0) done()
          })
        }
      },
    })
  }

  /** Providers as they come: of a shard drawn at random, then of the sizes beside it; `requests` were made for them. */
  find(capability: string, count: number, found: (peer: Member) => void, ended: (requests: number) => void): void {
    const self = this.#self
    const { mesh } = self
    const seen = new Set([self.id])
    let requests = 0
    let over = false
    let current: Lookup | null = null
    const finish = () => {
      if (over) return
      over = true
      current?.stop()
      ended(requests + (current?.requests ?? 0))
    }
    mesh.world.after(NODE.findMs, finish)
    const level = (sizes: number[]) => {
      const [bits, ...rest] = sizes
      if (bits === undefined) return finish()
      let own = 0
      let closed = false
      const key = mesh.keyOf(capability, bits, mesh.world.int(0, 2 ** bits - 1))
      const next = () => {
        if (over || closed) return
        closed = true
        current?.stop()
        requests += current?.requests ?? 0
        current = null
        level(rest)
      }
      current = self.lookup('providers', key, {
        heard: (_, { providers }) => {
          for (const id of providers) {
            if (over || closed || seen.has(id)) continue
            seen.add(id)
            own += 1
            found(mesh.member(id))
            if (seen.size > count) return finish()
          }
          // The library ends its query at k providers.
          if (own >= mesh.dht.kBucketSize) next()
        },
        ended: next,
      })
    }
    const begin = () => level(shardBitsAbout(this.size))
    if (this.size === 0) this.#lookAround(begin)
    else begin()
  }

  seekPeers(): void {
    const missing = NODE.peersWanted - this.#self.connections.size - this.#candidates.length
    if (missing <= 0 || this.#seeking) return
    this.#seeking = true
    this.find(
      'peer',
      missing,
      (peer) => this.#suggest(peer),
      () => {
        this.#seeking = false
      },
    )
  }

  seekWork(): void {
    const { world } = this.#self.mesh
    if (this.#seekingWork || !world.chance(workLookShare(this.size))) return
    this.#seekingWork = true
    this.find('work-wanted', NODE.workProviders, ignore, () => {
      this.#seekingWork = false
    })
  }

  #lookAround(done: () => void): void {
    const self = this.#self
    const distances: number[] = []
    self.lookup('find', self.id, {
      heard: (peer) => distances.push(distance(peer.id, self.id) / ID_SPACE),
      ended: () => {
        if (distances.length > 0) this.size = sizeOf(distances, self.mesh.dht.kBucketSize)
        done()
      },
    })
  }

  /** node/mesh/connector.ts: a few dials at once, looked at every tick and when one is over. */
  #suggest(peer: Member): void {
    if (this.#known.has(peer)) return
    this.#known.add(peer)
    this.#candidates.push(peer)
    if (!this.#connecting) this.#tick()
  }

  #tick(): void {
    const self = this.#self
    this.#connecting = this.#candidates.length > 0
    if (!this.#connecting) return
    this.#dialSome()
    self.mesh.world.after(NODE.connectorTickMs, () => self.alive && this.#tick())
  }

  #dialSome(): void {
    const self = this.#self
    while (this.#dialling < NODE.dialsAtOnce && self.connections.size + this.#dialling < NODE.peersWanted) {
      const peer = this.#candidates.shift()
      if (peer === undefined) break
      if (self.connections.has(peer)) continue
      this.#dialling += 1
      self.dial(peer, (connected) => {
        this.#dialling -= 1
        if (!connected) this.#known.delete(peer)
        if (self.alive) this.#dialSome()
      })
    }
  }
}
