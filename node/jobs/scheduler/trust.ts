/** What is seen of a peer in a job: faults and refusals bring rests, lies bring distrust, all of it is evidence. */

import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { LIMITS } from '../../../protocol/limits.ts'
import { countClass } from './alike.ts'
import { rateOf } from './pace.ts'
import { reasonOfRefusal } from './reasons.ts'
import type { Core, Job, Seat } from './state.ts'
import { giveBackAll } from './units.ts'
import { shrinkWindow } from './window.ts'

/** A fault weighs as much as this many good results, so that a peer failing fewer than one in five is not rested. */
export const FAULT_WEIGHT = 4
/** Faults in a row before the first rest: one may be the unit's doing. */
const FAULTS_FREE = 2
/** A peer outvoted this often, and on this share of what was decided with it, is believed no more in the job. */
export const OUTVOTED_MIN = 3
const OUTVOTED_SHARE = 0.05

/** Work done is told when there is so much of it. */
const SERVED_TOLD_MS = 1_000

const FAULTS_MAX = 20
const REST_MS = 1_000

/** The seat may be given units, now or after a rest. Call it after whatever may have changed that. */
export function updateUsable(core: Core, seat: Seat): void {
  const { job } = seat
  const block = blockOf(seat)
  if (block !== seat.block) {
    seat.block = block
    seat.blockedAt = core.now
    job.changedAt = core.now
  }
  const usable = block === null
  if (usable === seat.usable) return
  seat.usable = usable
  job.usable += usable ? 1 : -1
  countClass(seat, usable ? 1 : -1)
  job.rate = Math.max(0, job.rate + (usable ? 1 : -1) * rateOf(core, seat))
  if (usable) return
  job.idle.delete(seat)
  job.hungry.delete(seat)
  job.held.delete(seat)
  core.shrunk.add(job)
}

function blockOf({ peer, misfit, refusal, distrusted, admitted }: Seat): Seat['block'] {
  if (!peer.up) return 'away'
  if (distrusted || !admitted) return 'untrusted'
  if (peer.ad.cpus === 0) return 'no-cores'
  if (misfit !== null) return misfit
  if (refusal !== null) return reasonOfRefusal(refusal)
  return peer.pausedAt === null ? null : 'paused'
}

/** No units for the seat for a while that doubles with `times`; `leastMs` is what it asked for. */
export function rest(core: Core, seat: Seat, times: number, code: string, leastMs = 0): void {
  const doubled = REST_MS * 2 ** Math.min(Math.max(times - 1, 0), 16)
  const ms = Math.min(Math.max(doubled, leastMs), LIMITS.PEER_BACKOFF_MAX_MS)
  const until = core.now + ms + uniformInt(core.components.random, 0, Math.floor(ms / 4))
  shrinkWindow(seat.window, core.now)
  seat.job.idle.delete(seat)
  seat.job.hungry.delete(seat)
  if (until <= seat.restUntil) return
  if (core.now >= seat.restUntil) seat.restedAt = core.now
  seat.restUntil = until
  seat.restCode = code
  core.timers.set(until, { kind: 'rested', seat })
}

/** The machine failed an attempt. What fails in one batch is one fault. */
export function noteFault(core: Core, seat: Seat, code: string): void {
  if (core.now < seat.restUntil) return
  seat.faults = Math.min(seat.faults + FAULT_WEIGHT, FAULTS_MAX * FAULT_WEIGHT)
  const times = Math.floor(seat.faults / FAULT_WEIGHT) - FAULTS_FREE
  if (times > 0) rest(core, seat, times, code)
}

export function noteGood(seat: Seat): void {
  if (seat.faults > 0) seat.faults -= 1
  seat.handbacks = 0
  seat.refusals = 0
}

export function noteAgreed(core: Core, seat: Seat | undefined): void {
  if (seat === undefined) return
  seat.agreed += 1
  seat.agreedNow += 1
  core.touched.add(seat)
}

/**
 * Work the peer did for this node. Each unit of a job counts alike, as a slot of speed 1 would have taken on average of
 * all peers: who takes long gains nothing by it.
 */
export function noteServed(core: Core, seat: Seat | undefined): void {
  if (seat === undefined || seat.peer.trust === 'self') return
  const { reference, policy } = seat.job
  const { busyMs, ends } = reference
  seat.servedMs += ends === 0 ? 0 : (policy.cpus * busyMs) / ends
  if (seat.servedMs >= SERVED_TOLD_MS) core.touched.add(seat)
}

export function noteFaulty(core: Core, seat: Seat, unit: number): void {
  core.effects.push({
    type: 'evidence',
    peer: seat.peer.id,
    job: seat.job.spec.id,
    unit,
    kind: 'faulty',
    count: 1,
  })
}

export function noteOutvoted(core: Core, seat: Seat | undefined, unit: number): void {
  if (seat === undefined) return
  seat.outvoted += 1
  core.effects.push({
    type: 'evidence',
    peer: seat.peer.id,
    job: seat.job.spec.id,
    unit,
    kind: 'outvoted',
    count: 1,
  })
  if (seat.job.crediting) return
  const share = seat.outvoted / (seat.agreed + seat.outvoted)
  if (seat.outvoted >= OUTVOTED_MIN && share >= OUTVOTED_SHARE) distrust(core, seat)
}

/** Its word counts no more in this job, and it gets no more of it. */
function distrust(core: Core, seat: Seat): void {
  if (seat.distrusted) return
  seat.distrusted = true
  updateUsable(core, seat)
  giveBackAll(core, seat)
  core.effects.push({ type: 'revoke', peer: seat.peer.id, job: seat.job.spec.id, units: null })
  strike(core, seat.job, seat)
}

/** Units on which it was heard are judged again without it, in this step. */
export function strike(core: Core, job: Job, seat: Seat): void {
  if (seat.named === 0) return
  for (const unit of seat.spokenOn) job.scarred.add(unit)
  core.shrunk.add(job)
}

/** Says at the end of a step what was gathered for the seat in it. */
export function flush(core: Core, seat: Seat): void {
  const [peer, job] = [seat.peer.id, seat.job.spec.id]
  if (seat.agreedNow > 0) {
    core.effects.push({ type: 'evidence', peer, job, unit: null, kind: 'agreed', count: seat.agreedNow })
    seat.agreedNow = 0
  }
  if (seat.servedMs >= SERVED_TOLD_MS) {
    core.effects.push({ type: 'evidence', peer, job, unit: null, kind: 'served', count: Math.floor(seat.servedMs) })
    seat.servedMs = 0
  }
  if (seat.revokedNow.length > 0) {
    if (seat.peer.up) core.effects.push({ type: 'revoke', peer, job, units: seat.revokedNow })
    seat.revokedNow = []
  }
}
