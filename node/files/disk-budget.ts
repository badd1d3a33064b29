/** The owner's disk for what can be had again: who takes how much of it, and who goes when room is wanted. */

import { TalkootError } from '../../protocol/errors.ts'

/** Something on the disk that can be had again. */
export type Lodger = {
  readonly what: 'files' | 'image'
  /** Of the budget, bytes. */
  cost: number
  /** It stays while there are any. */
  holders: number
  /** Takes it off the disk; of the budget it is gone already. */
  evict(): Promise<unknown>
}

export class DiskBudget {
  readonly bytes: number
  /** Longest unused first. */
  readonly #lodgers = new Set<Lodger>()
  #used = 0

  constructor(bytes: number) {
    this.bytes = bytes
  }

  /** Bytes. */
  get used(): number {
    return this.#used
  }

  usedBy(what: Lodger['what']): number {
    return [...this.#lodgers].reduce((sum, lodger) => sum + (lodger.what === what ? lodger.cost : 0), 0)
  }

  /**
   * Has room for one more at once; on the disk, where others must go first, when the promise settles. Of those whom nobody
   * holds the longest unused go, and none in vain.
   * @throws E_DISK_BUDGET, E_DISK_TAKEN
   */
  take(lodger: Lodger): Promise<unknown> {
    const taking = `${NAMES[lodger.what]} ${lodger.cost} bytes of the disk`
    if (lodger.cost > this.bytes) {
      throw new TalkootError('E_DISK_BUDGET', `${taking}, and its owner lets jobs take ${this.bytes}`)
    }
    let free = this.bytes - this.#used
    const leaving: Lodger[] = []
    for (const other of this.#lodgers) {
      if (free >= lodger.cost) break
      if (other.holders > 0) continue
      leaving.push(other)
      free += other.cost
    }
    if (free < lodger.cost) {
      throw new TalkootError('E_DISK_TAKEN', `${taking}, and jobs need all but ${free} of ${this.bytes}`)
    }
    const gone = leaving.map((other) => this.evict(other))
    this.#add(lodger)
    return Promise.all(gone)
  }

  /** It takes less than was thought. */
  shrink(lodger: Lodger, cost: number): void {
    this.#used -= lodger.cost - cost
    lodger.cost = cost
  }

  /** It is used now. */
  touch(lodger: Lodger): void {
    if (this.#lodgers.delete(lodger)) this.#lodgers.add(lodger)
  }

  async evict(lodger: Lodger): Promise<void> {
    if (this.leave(lodger)) await lodger.evict()
  }

  /** It takes nothing any more, whatever of it is on the disk. Whether it did. */
  leave(lodger: Lodger): boolean {
    const left = this.#lodgers.delete(lodger)
    if (left) this.#used -= lodger.cost
    return left
  }

  /** Those that are there already, longest unused first; they go if the owner has lowered the budget. */
  adopt(lodgers: readonly Lodger[]): void {
    for (const lodger of lodgers) this.#add(lodger)
    for (const lodger of lodgers) if (this.#used > this.bytes) void this.evict(lodger)
  }

  #add(lodger: Lodger): void {
    this.#lodgers.add(lodger)
    this.#used += lodger.cost
  }
}

const NAMES = { files: 'the files take', image: 'the unpacked image takes' } as const
