/**
 * Jobs that ask for a confidence: peers are believed by what they have shown, confirmed or caught by one another's
 * words. What is worked out from it is in verification/; why, in docs/verification.md.
 */

import { LIMITS } from '../../../protocol/limits.ts'
import { admission, undecidedMax } from '../verification/credit.ts'
import type { About, JudgedVoice, Voter } from '../verification/verification.ts'
import { giveCanary } from './canaries.ts'
import type { Core, Job, Peer, Seat, Unit } from './state.ts'
import { takeBackSurplus } from './surplus.ts'
import { updateUsable } from './trust.ts'
import { giveBackAll, place } from './units.ts'
import { vouchedFor } from './withheld.ts'

/** What peers are worth together is worked out again after this long, at the soonest; later where there are many. */
const SURVEY_MS = 100
const SURVEY_MS_PER_PEER = 0.1
/** Peers work in step while less than this share of them would otherwise be at work. */
const AT_WORK_SHARE = 0.5

/** What those share that had a unit at once. */
const TOGETHER = 'at once'

const NO_ANSWERS: ReadonlyMap<string, boolean> = new Map()

/** Every voice on the unit that counts. */
export function voicesFor(core: Core, job: Job, unit: Unit): JudgedVoice[] {
  const voices: JudgedVoice[] = []
  for (const { seat, said, confirmed, word, together } of unit.holders) {
    if (said === null || seat.distrusted || seat.peer.blocked) continue
    const { id, trust } = seat.peer
    const independence = together ? [...seat.peer.independence, TOGETHER] : seat.peer.independence
    if (!job.crediting) voices.push({ peer: id, trust, independence, said })
    else {
      const [credit, vouched] = [creditOf(core, id, confirmed), seat.vouchers.vouchFor(word)]
      voices.push({ peer: id, trust, independence, credit, vouched, said })
    }
  }
  return voices
}

/** What this unit itself has shown of the peer is no evidence for the peer's word on it. */
export function creditOf(core: Core, peer: string, confirmedHere: boolean): { checks: number; caught: number } {
  const { checks, caught } = core.book.credit(peer, core.now)
  return { checks: confirmedHere ? Math.max(0, checks - 1) : checks, caught }
}

export const aboutUnit = (core: Core, job: Job, unit: Unit): About | undefined =>
  job.crediting ? { unit: unit.index, check: unit.check, final: unit.final, next: nextVoter(core, job) } : undefined

/** Copies of a unit that goes to this peer first. */
export function openingCopies(core: Core, { job, peer }: Seat, unit: number): number {
  const { opening, copies } = job.verification
  if (opening === undefined) return copies
  return opening(unit, voterOf(core, peer), nextVoter(core, job))
}

/** These were confirmed on the unit by an independent peer: one survived check each. */
export function confirm(core: Core, unit: Unit, peers: readonly string[]): void {
  for (const holder of unit.holders) {
    const { peer } = holder.seat
    if (holder.confirmed || holder.said === null || !peers.includes(peer.id)) continue
    holder.confirmed = true
    const unproven = peer.seats.filter((seat) => seat.job.crediting && !isProven(core, seat.job, peer))
    core.book.confirm([peer.id], core.now)
    core.credited.add(peer.id)
    for (const seat of unproven) if (isProven(core, seat.job, peer)) standAlone(core, seat, unit)
    for (const seat of peer.seats) {
      if (!seat.job.crediting) continue
      // Many units are under way at once: a check of a word given before it turned says nothing of those after.
      if (seat === holder.seat) {
        seat.unchecked = seat.unchecked.filter(({ word }) => word > holder.word)
        seat.vouchers.note(holder.word)
        for (const waiting of vouchedFor(seat)) doubt(core, seat.job, waiting)
      }
      core.refills.add(seat)
      for (const waiting of seat.later) if (waiting !== unit) doubt(core, seat.job, waiting)
    }
  }
}

/** From now on its word alone is enough, also on what was given to others because it was not. `unit`: is being judged. */
function standAlone(core: Core, seat: Seat, unit: Unit): void {
  const { job, spokenOn, inFlight } = seat
  for (const open of spokenOn) if (open !== unit) doubt(core, job, open)
  for (const open of inFlight.values()) {
    if (open.holders.some(({ said }) => said !== null) || openingCopies(core, seat, open.index) > 1) continue
    open.needs = 1
    takeBackSurplus(core, open, seat)
    place(core, job, open)
  }
}

/** The unit is judged again before this step ends. */
export function doubt(core: Core, job: Job, unit: Unit): void {
  job.doubted.add(unit)
  core.doubting.add(job)
}

/**
 * The peer said another value than what two or more independent peers said: its history is void. It is given no more,
 * and all that hangs on its word is looked at again.
 */
export function catchPeer(core: Core, unit: Unit, { peer, job }: Seat): void {
  const before = core.book.credit(peer.id, core.now)
  take(core, job, unit.index, peer.id)
  core.credited.add(peer.id)
  const lost = before.caught === 0 || before.checks > 0
  for (const seat of peer.seats) {
    if (!seat.job.crediting) continue
    seat.unchecked = []
    admit(core, seat)
    if (!lost) continue
    for (const open of seat.spokenOn) if (open !== unit) doubt(core, seat.job, open)
    seat.job.recalls += 1
    core.effects.push({ type: 'recall', job: seat.job.spec.id, of: { peer: peer.id } })
  }
}

/** It was wrong on a unit that was settled long ago. */
export function catchAgain(core: Core, { peer, job }: Seat, unit: number): void {
  take(core, job, unit, peer.id)
}

function take(core: Core, job: Job, unit: number, peer: string): void {
  const { checks, caught } = core.book.credit(peer, core.now)
  core.book.catch(keyOf(job, unit), peer, core.now)
  noteCatch(job, unit)
  core.effects.push({ type: 'caught', job: job.spec.id, unit, peer, checks, caught })
}

function noteCatch(job: Job, unit: number): void {
  job.catches.add(unit)
  for (const oldest of job.catches) {
    if (job.catches.size <= LIMITS.CATCHES_KEPT_MAX) break
    job.catches.delete(oldest)
  }
}

/** Who was caught in the job before a restart gets back what it lost if it turns out to have been right. */
export function rememberCatches(core: Core, job: Job): void {
  for (const { unit, peer, checks, caught, ageMs } of job.spec.catches ?? []) {
    core.book.remember(keyOf(job, unit), peer, { checks, caught, at: core.now - ageMs })
    noteCatch(job, unit)
  }
}

/** The unit is decided otherwise than before: who was caught on it is given back what that cost. */
export function overturn(core: Core, job: Job, unit: number): void {
  job.catches.delete(unit)
  const cleared = core.book.overturn(keyOf(job, unit), core.now)
  if (cleared.length > 0) core.effects.push({ type: 'cleared', job: job.spec.id, unit })
  for (const id of cleared) {
    core.credited.add(id)
    for (const seat of core.peers.get(id)?.seats ?? []) {
      if (seat.job.crediting) admit(core, seat)
    }
  }
}

/** Nobody is to blame for what was seen in this job. */
export function exonerate(core: Core, job: Job): void {
  for (const unit of [...job.catches]) overturn(core, job, unit)
}

const keyOf = (job: Job, unit: number): string => `${job.spec.id} ${unit}`

/** Whether the peer is given units, by what it has shown. */
export const isAdmitted = (core: Core, job: Job, peer: string): boolean =>
  !job.crediting || admissionOf(core, peer) === 'work'

/** It rests from when something was last seen of it. */
export const admissionOf = (core: Core, peer: string): ReturnType<typeof admission> =>
  admission({ ...core.book.credit(peer, core.now), at: core.book.evidence(peer, core.now).at }, core.now)

export function admit(core: Core, seat: Seat): void {
  const admitted = isAdmitted(core, seat.job, seat.peer.id)
  if (admitted === seat.admitted) return
  seat.admitted = admitted
  updateUsable(core, seat)
  core.refills.add(seat)
  if (admitted) return
  giveBackAll(core, seat)
  core.effects.push({ type: 'revoke', peer: seat.peer.id, job: seat.job.spec.id, units: null })
}

/** Its word alone was enough: it may be checked before the job ends, if none it gave later was. */
export function noteUnchecked(job: Job, seat: Seat | undefined, unit: Unit): void {
  if (seat === undefined || job.closing) return
  const word = unit.holders.find((holder) => holder.seat === seat)?.word ?? 0
  if (seat.vouchers.after(word) > 0) return
  seat.unchecked.push({ unit: unit.index, word })
  if (seat.unchecked.length > LIMITS.UNCHECKED_UNITS_KEPT_MAX) seat.unchecked.shift()
}

/**
 * Undecided units the peer may be given now. Strangers without history work in step: who answers without computing
 * would otherwise be asked more often than those who compute.
 */
export function roomByCredit(core: Core, { job, peer, spokenOn, inFlight }: Seat): number {
  if (!job.crediting || peer.trust !== 'stranger') return Number.POSITIVE_INFINITY
  return undecidedMax(core.book.credit(peer.id, core.now)) + job.grace - spokenOn.size - inFlight.size
}

/** Newcomers that all wait for one another may each have one unit more. Returns them. */
export function easeStep(job: Job): readonly Seat[] {
  if (job.held.size === 0 || job.working >= AT_WORK_SHARE * job.usable) return []
  job.grace += 1
  return [...job.held]
}

/** Who is believed alone does what is new; who is not does copies, and gains by them. */
export function takesCopiesFirst(core: Core, seat: Seat): boolean {
  const { job, peer } = seat
  survey(core, job)
  return job.pool.copies > job.unproven || !isProven(core, job, peer)
}

/** Its word alone reaches the goal. */
export function isProven(core: Core, job: Job, peer: Peer): boolean {
  const said = { ok: true, digest: '', value: '' } as const
  const voice = { peer: peer.id, independence: peer.independence, ...voterOf(core, peer), said }
  return job.verification.judge([voice], NO_ANSWERS, 0).kind === 'accepted'
}

function nextVoter(core: Core, job: Job): Voter {
  survey(core, job)
  return job.next
}

const voterOf = (core: Core, { id, trust }: Peer): Voter => ({ trust, credit: core.book.credit(id, core.now) })

/** The class most of the usable peers are of, with their mean credit; and how many are not believed alone. */
function survey(core: Core, job: Job): void {
  if (core.now < job.surveyAt) return
  job.surveyAt = core.now + Math.max(SURVEY_MS, SURVEY_MS_PER_PEER * job.seats.size)
  const classes = { stranger: { peers: 0, checks: 0 }, member: { peers: 0, checks: 0 }, self: { peers: 0, checks: 0 } }
  job.unproven = 0
  for (const seat of job.seats.values()) {
    const { usable, peer } = seat
    giveCanary(core, seat)
    if (!usable) continue
    const sums = classes[peer.trust]
    sums.peers += 1
    sums.checks += core.book.credit(peer.id, core.now).checks
    if (!isProven(core, job, peer)) job.unproven += 1
  }
  let trust: Voter['trust'] = 'stranger'
  for (const other of ['member', 'self'] as const) if (classes[other].peers > classes[trust].peers) trust = other
  const { peers, checks } = classes[trust]
  job.next = { trust, credit: { checks: Math.floor(checks / Math.max(1, peers)), caught: 0 } }
}
