/** Peers come, change, go silent and leave. */

import type { Ad } from '../../../protocol/ad.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import { Vouchers } from '../verification/checked-units.ts'
import { countClass } from './alike.ts'
import { isAdmitted } from './credit.ts'
import type { SchedulerEvent } from './events.ts'
import { activeSeats, leaveLine, newLines } from './line.ts'
import { type Core, type Job, type Peer, type Seat, slotsOf, type Unit } from './state.ts'
import { rest, strike, updateUsable } from './trust.ts'
import { giveBackAll, revoke } from './units.ts'
import { openWindow } from './window.ts'

/** A unit may run for its whole timeout; a peer that ends nothing for this much longer has lost its units. */
const STALL_GRACE_MS = 10_000

/** A peer that runs other units all the while, or says that others have its slots, has so much longer. */
const STALL_TURN_MAX_MS = 10 * 60_000

/** Leases are not looked at more often than this. */
const CHECK_LEAST_MS = 250

/** What waits on a peer's credit in a job that asks for no confidence; of ten thousand peers each has room for it otherwise. */
const NOTHING: Set<Unit> = new Set()

export function peerUp(core: Core, event: Extract<SchedulerEvent, { type: 'peer.up' }>): void {
  const known = core.peers.get(event.peer)
  if (known?.up) peerDown(core, known)
  const peer = known ?? newPeer(core, event)
  peer.trust = event.trust
  peer.role = event.role ?? ''
  peer.independence = event.independence ?? []
  peer.shares = [peer.slot, ...(peer.trust === 'stranger' ? peer.independence.map((name) => numberOf(core, name)) : [])]
  peer.up = true
  peer.blocked = false
  peer.heardAt = core.now
  for (const job of core.jobs.values()) takeSeat(core, job, peer)
  peerAd(core, peer, event.ad)
  for (const seat of peer.seats) {
    seat.window = openWindow(slotsOf(seat), core.now)
    seat.strays.clear()
  }
  watchLeases(core)
}

/** A refusal stands until the ad says something else than before. */
export function peerAd(core: Core, peer: Peer, ad: Ad): void {
  const changed = offerOf(peer.ad) !== offerOf(ad)
  const { paused } = ad
  const back = paused === null && peer.pausedAt !== null
  peer.ad = ad
  peer.platform = platformOf(ad)
  peer.pausedAt = paused === null ? null : core.now - paused.forMs
  peer.returnsAt = paused === null || paused.returnsInMs === null ? null : core.now + paused.returnsInMs
  for (const seat of peer.seats) {
    if (changed) seat.refusal = null
    if (back && seat.restCode === 'E_PAUSED') seat.restUntil = Math.min(seat.restUntil, core.now)
    match(core, seat)
    core.refills.add(seat)
  }
}

/** The session is over: its units go elsewhere, what it says later on another session still counts. */
export function peerDown(core: Core, peer: Peer): void {
  if (!peer.up) return
  peer.up = false
  for (const seat of peer.seats) {
    giveBackAll(core, seat)
    seat.canary = null
    updateUsable(core, seat)
    leaveLine(seat)
  }
  forget(core)
}

/** What it said of units that are undecided counts for nothing any more. */
export function blockPeer(core: Core, peer: Peer): void {
  if (peer.blocked) return
  peer.blocked = true
  for (const seat of peer.seats) strike(core, seat.job, seat)
}

/** A new job's seat for a peer, or the one the peer left. */
export function takeSeat(core: Core, job: Job, peer: Peer): Seat {
  const known = job.seats.get(peer.id)
  if (known !== undefined) return known
  const seat: Seat = {
    peer,
    job,
    misfit: null,
    rank: null,
    alike: '',
    refusal: null,
    restUntil: Number.NEGATIVE_INFINITY,
    restedAt: Number.NEGATIVE_INFINITY,
    restCode: null,
    fetched: null,
    faults: 0,
    handbacks: 0,
    refusals: 0,
    tag: 0,
    turnAt: core.now,
    inLine: false,
    called: false,
    inFlight: new Map(),
    strays: new Map(),
    window: openWindow(Math.floor(peer.ad.cpus / job.policy.cpus), core.now),
    pace: { busyMs: 0, ends: 0, vainMs: 0 },
    passedAt: null,
    named: 0,
    agreed: 0,
    outvoted: 0,
    distrusted: false,
    admitted: isAdmitted(core, job, peer.id),
    spokenOn: new Set(),
    later: job.crediting ? new Set() : NOTHING,
    withheld: job.crediting ? new Set() : NOTHING,
    vouchers: new Vouchers(),
    unchecked: [],
    words: 0,
    canary: null,
    block: 'away',
    blockedAt: core.now,
    usable: false,
    lastEndAt: core.now,
    agreedNow: 0,
    servedMs: 0,
    revokedNow: [],
  }
  job.seats.set(peer.id, seat)
  peer.seats.push(seat)
  match(core, seat)
  return seat
}

/** Looks for peers that went silent, and for those that live but end nothing. */
export function checkLeases(core: Core): void {
  core.leaseTimerSet = false
  const { lease } = core.components
  for (const peer of core.peers.values()) {
    if (!peer.up) continue
    if (lease.lapsed(core.now - peer.heardAt)) lapse(core, peer)
    else if (peer.inFlight > 0) for (const seat of [...activeSeats(peer)]) takeBackStalled(core, seat)
  }
  watchLeases(core)
}

function watchLeases(core: Core): void {
  if (core.leaseTimerSet) return
  let oldest = Number.POSITIVE_INFINITY
  for (const peer of core.peers.values()) if (peer.up) oldest = Math.min(oldest, peer.heardAt)
  if (oldest === Number.POSITIVE_INFINITY) return
  const at = Math.max(oldest + core.components.lease.leaseMs, core.now + CHECK_LEAST_MS)
  core.timers.set(at, { kind: 'lease' })
  core.leaseTimerSet = true
}

function lapse(core: Core, peer: Peer): void {
  for (const seat of activeSeats(peer)) {
    const { size: count } = seat.inFlight
    core.effects.push({
      type: 'evidence',
      peer: peer.id,
      job: seat.job.spec.id,
      unit: null,
      kind: 'lapsed',
      count,
    })
  }
  core.effects.push({ type: 'drop', peer: peer.id, code: 'E_LEASE_LAPSED' })
  peerDown(core, peer)
}

function takeBackStalled(core: Core, seat: Seat): void {
  const [oldest] = seat.inFlight.keys()
  const limitMs = seat.job.policy.timeoutMs + STALL_GRACE_MS
  if (oldest === undefined || core.now - seat.lastEndAt < limitMs) return
  // Its units wait for their turn there; but a peer is not believed for ever.
  if (core.now - seat.peer.turnedAt < limitMs && core.now - seat.lastEndAt < limitMs + STALL_TURN_MAX_MS) return
  for (const unit of seat.inFlight.keys()) revoke(core, seat, unit)
  giveBackAll(core, seat)
  seat.handbacks += 1
  rest(core, seat, seat.handbacks, 'E_TIMEOUT')
}

/** Kept as long as there are not far more than peers: who comes back shares what it shared. */
function numberOf(core: Core, shared: string): number {
  const number = core.shared.get(shared) ?? core.nextSlot++
  core.shared.delete(shared)
  core.shared.set(shared, number)
  for (const oldest of core.shared.keys()) {
    if (core.shared.size <= 2 * LIMITS.ADS_KNOWN_MAX) break
    core.shared.delete(oldest)
  }
  return number
}

function newPeer(core: Core, { peer: id, trust, ad }: Extract<SchedulerEvent, { type: 'peer.up' }>): Peer {
  const peer: Peer = {
    id,
    slot: core.nextSlot,
    trust,
    role: '',
    independence: [],
    shares: [core.nextSlot],
    ad,
    platform: platformOf(ad),
    pausedAt: null,
    returnsAt: null,
    up: false,
    blocked: false,
    heardAt: core.now,
    turnedAt: Number.NEGATIVE_INFINITY,
    latencyMs: 0,
    seats: [],
    lines: newLines(),
    inFlight: 0,
  }
  core.nextSlot += 1
  core.peers.set(id, peer)
  return peer
}

function match(core: Core, seat: Seat): void {
  const { id, ad, trust, role } = seat.peer
  const candidate = { id, ad, trust, role }
  seat.misfit = seat.job.matched.misfit(candidate)
  seat.rank = seat.misfit === null ? seat.job.matched.rank(candidate) : null
  if (seat.usable) countClass(seat, -1)
  seat.alike = seat.job.matched.alike(candidate)
  if (seat.usable) countClass(seat, 1)
  updateUsable(core, seat)
}

const platformOf = ({ os, arch, runtimes }: Ad): string =>
  [os, arch, ...runtimes.map(({ kind, version }) => `${kind} ${version}`)].join(' ')

/** What an ad offers, without what changes from one ad to the next by itself. */
function offerOf(ad: Ad): string {
  const { seq: _seq, ttlMs: _ttl, freeSlots: _free, addresses: _at, reach: _reach, paused: _paused, ...rest } = ad
  const { speed: _speed, ...offer } = rest
  return JSON.stringify(offer)
}

/** Peers that left are remembered while any open unit names them, and beyond that up to a bound. */
function forget(core: Core): void {
  if (core.peers.size <= LIMITS.ADS_KNOWN_MAX) return
  for (const peer of core.peers.values()) {
    if (core.peers.size <= LIMITS.ADS_KNOWN_MAX) return
    if (peer.up || peer.seats.some((seat) => seat.named > 0)) continue
    core.peers.delete(peer.id)
    for (const seat of peer.seats) seat.job.seats.delete(peer.id)
  }
}
