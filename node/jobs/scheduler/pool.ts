/**
 * Open units that wait for a further copy, in buckets by their class and by the peers that may not have it (they run it
 * or have spoken, or share something with who did). A peer then finds units it may take without looking at any it may
 * not, whatever the number of units.
 */

import { uniformInt } from 'pure-rand/distribution/uniformInt'
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator'
import { isAlike } from './alike.ts'
import type { Seat, Unit } from './state.ts'

export type Bucket = { key: string; alike: string | null; barred: readonly number[]; units: Unit[]; place: number }

/** A grant draws from about this many buckets, so that the same two peers are not always paired. */
const BUCKETS_MIXED = 4
/** Buckets looked at in one grant. */
const BUCKETS_SEEN_MAX = 1_024

export class Pool {
  readonly #byKey = new Map<string, Bucket>()
  readonly #buckets: Bucket[] = []
  /** Copies to give out. */
  copies = 0

  get buckets(): readonly Bucket[] {
    return this.#buckets
  }

  /** Puts a unit where its holders and missing copies say, or takes it out. Call it whenever either changed. */
  place(unit: Unit, missing: number): void {
    this.copies += missing - unit.missing
    unit.missing = missing
    if (missing === 0) {
      if (unit.bucket !== null) this.#remove(unit, unit.bucket)
      return
    }
    const barred = barredBy(unit)
    const key = unit.alike === null ? barred.join(',') : `${barred.join(',')} ${unit.alike}`
    if (unit.bucket?.key === key) return
    if (unit.bucket !== null) this.#remove(unit, unit.bucket)
    const bucket = this.#bucket(key, unit.alike, barred)
    unit.bucket = bucket
    unit.place = bucket.units.length
    bucket.units.push(unit)
  }

  /** Up to `count` units the seat may take, from several buckets drawn at random. They stay in the pool. */
  draw(seat: Seat, count: number, random: RandomGenerator): Unit[] {
    const buckets = this.#buckets
    const drawn: Unit[] = []
    if (buckets.length === 0) return drawn
    const share = Math.ceil(count / Math.min(BUCKETS_MIXED, buckets.length))
    const start = uniformInt(random, 0, buckets.length - 1)
    const seen = Math.min(buckets.length, BUCKETS_SEEN_MAX)
    // Two rounds: a share of each, then what is still wanted from whoever has it.
    for (let i = 0; i < seen && drawn.length < count; i++) {
      drawFrom(buckets[(start + i) % buckets.length], seat, 0, Math.min(share, count - drawn.length), drawn)
    }
    for (let i = 0; i < seen && drawn.length < count; i++) {
      drawFrom(buckets[(start + i) % buckets.length], seat, share, count - drawn.length, drawn)
    }
    return drawn
  }

  #bucket(key: string, alike: string | null, barred: number[]): Bucket {
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    const bucket = { key, alike, barred, units: [], place: this.#buckets.length }
    this.#byKey.set(key, bucket)
    this.#buckets.push(bucket)
    return bucket
  }

  #remove(unit: Unit, bucket: Bucket): void {
    swapOut(bucket.units, unit.place)
    unit.bucket = null
    if (bucket.units.length > 0) return
    this.#byKey.delete(bucket.key)
    swapOut(this.#buckets, bucket.place)
  }
}

/** Takes units from the end of a bucket, after skipping those a first round took. */
function drawFrom(bucket: Bucket | undefined, seat: Seat, skip: number, count: number, drawn: Unit[]): void {
  if (bucket === undefined || isBarred(bucket, seat)) return
  const { units } = bucket
  const end = units.length - skip
  for (let i = end - 1; i >= 0 && i >= end - count; i--) {
    const unit = units[i]
    if (unit !== undefined) drawn.push(unit)
  }
}

function swapOut<T extends { place: number }>(items: T[], place: number): void {
  const last = items.pop()
  if (last === undefined || last.place === place) return
  items[place] = last
  last.place = place
}

function barredBy(unit: Unit): number[] {
  const barred: number[] = []
  for (const { seat, holding } of unit.holders) if (holding !== 'gone') barred.push(...barring(seat))
  return barred.length > 1 ? barred.sort((a, b) => a - b) : barred
}

/** Whether the seat may take no units of the bucket. */
export const isBarred = ({ alike, barred }: Bucket, seat: Seat): boolean =>
  !isAlike(alike, seat) || barring(seat).some((number) => barred.includes(number))

/** The numbers under which a peer bars itself, and who shares anything with it where that matters. */
export const barring = ({ job, peer }: Seat): readonly number[] => (job.crediting ? peer.shares : [peer.slot])
