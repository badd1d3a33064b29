/** An iterative query as @libp2p/kad-dht runs it: disjoint paths, each with a queue by distance and alpha requests at once. */

import type { DhtSettings } from '../../../node/mesh/host.ts'
import { distance } from './table.ts'

/** Null: no answer. */
export type Reply = { closer: number[]; providers: number[] } | null

export type LookupInit = {
  self: number
  key: number
  /** The contacts to begin with, in random order. */
  start: number[]
  dht: Pick<DhtSettings, 'kBucketSize' | 'alpha' | 'disjointPaths'>
  ask(peer: number, heard: (reply: Reply) => void): void
  heard?(peer: number, reply: NonNullable<Reply>): void
  /** Nearest first, those that answered. */
  ended(answered: number[]): void
}

export class Lookup {
  readonly #init: LookupInit
  readonly #seen: Set<number>
  readonly #answered: number[] = []
  #open: number
  requests = 0

  constructor(init: LookupInit) {
    this.#init = init
    this.#seen = new Set(init.start)
    const paths: number[][] = Array.from({ length: init.dht.disjointPaths }, () => [])
    for (const [i, peer] of init.start.entries()) paths[i % paths.length]?.push(peer)
    const walked = paths.filter((peers) => peers.length > 0)
    this.#open = walked.length
    if (this.#open === 0) init.ended([])
    for (const peers of walked) this.#walk(peers)
  }

  /** What comes from now on is not wanted; `ended` is not called. */
  stop(): void {
    this.#open = -1
  }

  #walk(queue: number[]): void {
    const { key, self, ask, heard, dht } = this.#init
    const byDistance = (a: number, b: number) => distance(a, key) - distance(b, key)
    const closest: number[] = []
    let running = 0
    const mayEnter = (peer: number) => {
      const last = closest[dht.kBucketSize - 1]
      return last === undefined || byDistance(peer, last) < 0
    }
    const take = (peer: number, reply: NonNullable<Reply>) => {
      closest.push(peer)
      closest.sort(byDistance)
      closest.length = Math.min(closest.length, dht.kBucketSize)
      this.#answered.push(peer)
      for (const next of reply.closer) {
        if (this.#seen.has(next) || next === self || byDistance(next, peer) >= 0 || !mayEnter(next)) continue
        this.#seen.add(next)
        queue.push(next)
      }
      heard?.(peer, reply)
    }
    const go = () => {
      queue.sort(byDistance)
      while (running < dht.alpha && this.#open > 0) {
        const peer = queue.shift()
        if (peer === undefined) break
        if (!mayEnter(peer)) continue
        running += 1
        this.requests += 1
        ask(peer, (reply) => {
          running -= 1
          if (this.#open < 0) return
          if (reply !== null) take(peer, reply)
          go()
        })
      }
      if (running === 0 && this.#open > 0) this.#end()
    }
    go()
  }

  #end(): void {
    this.#open -= 1
    if (this.#open > 0) return
    const { key, ended, dht } = this.#init
    ended(this.#answered.sort((a, b) => distance(a, key) - distance(b, key)).slice(0, dht.kBucketSize))
  }
}
