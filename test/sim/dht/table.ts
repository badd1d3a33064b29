/** The routing table of one simulated node. Ids are 32 bits: the exclusive or of two is their distance. */

import { LIBRARY } from './parameters.ts'

/** `buckets`: node/mesh/routing-table.ts. `trie`: the library left to itself. */
export type TableRule = 'buckets' | 'trie'

export type Contact = { id: number; askedAt: number }

export const distance = (a: number, b: number): number => (a ^ b) >>> 0

export class Table {
  readonly #self: number
  readonly #rule: TableRule
  readonly #bucketSize: number
  readonly #contacts = new Map<number, Contact>()
  readonly #buckets = new Map<number, Contact[]>()

  constructor(self: number, rule: TableRule, bucketSize: number) {
    this.#self = self
    this.#rule = rule
    this.#bucketSize = bucketSize
  }

  get size(): number {
    return this.#contacts.size
  }

  has(id: number): boolean {
    return this.#contacts.has(id)
  }

  contacts(): Iterable<Contact> {
    return this.#contacts.values()
  }

  hasRoom(id: number): boolean {
    return (this.#buckets.get(this.#bucketOf(id))?.length ?? 0) < this.#bucketSize
  }

  add(id: number, now: number): void {
    if (id === this.#self || this.has(id) || !this.hasRoom(id)) return
    const contact = { id, askedAt: now }
    this.#contacts.set(id, contact)
    const key = this.#bucketOf(id)
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) this.#buckets.set(key, [contact])
    else bucket.push(contact)
  }

  remove(id: number): void {
    if (!this.#contacts.delete(id)) return
    const key = this.#bucketOf(id)
    const left = (this.#buckets.get(key) ?? []).filter((contact) => contact.id !== id)
    this.#buckets.set(key, left)
  }

  /** Of a full bucket, the contacts to ask before another may come in: one at a time, where the library asks three. */
  toAsk(id: number, now: number): Contact[] {
    const due = (this.#buckets.get(this.#bucketOf(id)) ?? []).filter(
      ({ askedAt }) => now - askedAt >= LIBRARY.askAgainMs,
    )
    return due.sort((a, b) => a.askedAt - b.askedAt)
  }

  /** The contacts nearest to a key, nearest first, without the one that asks. */
  nearest(key: number, except = this.#self): number[] {
    const nearest: number[] = []
    for (const group of this.#byNearness(key)) {
      const distances: number[] = []
      for (const bucket of group) for (const { id } of bucket) if (id !== except) distances.push(distance(id, key))
      distances.sort((a, b) => a - b)
      for (const far of distances) {
        if (nearest.push(distance(far, key)) === this.#bucketSize) return nearest
      }
    }
    return nearest
  }

  /** Groups of buckets, each wholly nearer to the key than the next: those that share more with the key than this node does first. */
  *#byNearness(key: number): Iterable<Contact[][]> {
    if (this.#rule === 'trie') {
      yield [...this.#buckets.values()]
      return
    }
    const shared = Math.clz32(key ^ this.#self)
    const bucket = (bits: number) => this.#buckets.get(bits) ?? []
    yield [bucket(shared)]
    yield [...this.#buckets.entries()].flatMap(([bits, contacts]) => (bits > shared ? [contacts] : []))
    for (let bits = shared - 1; bits >= 0; bits--) yield [bucket(bits)]
  }

  #bucketOf(id: number): number {
    return this.#rule === 'buckets' ? Math.clz32(id ^ this.#self) : id >>> (32 - LIBRARY.trieBits)
  }
}
