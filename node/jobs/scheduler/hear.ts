/** What a worker sends back: ends of attempts, units handed back, answers to comparisons. */

import { LIMITS } from '../../../protocol/limits.ts'
import { isAlike } from './alike.ts'
import { hearCanary } from './canaries.ts'
import { diagnose } from './diagnose.ts'
import type { AttemptEnd, UnitIndex } from './events.ts'
import { noteLatency, notePace } from './pace.ts'
import { fail, judge } from './settle.ts'
import { type Core, type Holder, type Job, type Seat, slotsOf, type Unit } from './state.ts'
import { noteFault, noteGood, rest, updateUsable } from './trust.ts'
import { countWasted, giveBack, giveBackAll, holderOf, place, takeOut } from './units.ts'
import { measure } from './window.ts'

type Held = [unit: UnitIndex, ms: number] | null

export function hearResults(core: Core, seat: Seat, attempts: readonly AttemptEnd[], held: Held): void {
  const { job } = seat
  const before = seat.inFlight.size
  let turnaround = 0
  const begunMs: number[] = []
  if (held !== null) noteLatency(core, seat, held)
  for (const end of attempts) {
    if (hearCanary(core, seat, end)) continue
    const unit = job.open.get(end.unit)
    const holder = unit === undefined ? undefined : holderOf(unit, seat)
    if (unit === undefined || holder === undefined) {
      // Nobody waits for it: a copy that lost the race, a duplicate, or a unit this peer was never given.
      const stray = seat.strays.get(end.unit)
      if (stray === undefined) continue
      seat.strays.delete(end.unit)
      if (stray.accepted) countWasted(job)
      else job.executions += 1
      continue
    }
    if (holder.holding === 'running') {
      turnaround = Math.max(turnaround, core.now - holder.since, 0.01)
      if (holder.begunAt !== null) begunMs.push(Math.max(0, core.now - holder.begunAt))
    }
    hearEnd(core, job, unit, holder, end)
  }
  const ended = before - seat.inFlight.size
  if (ended === 0) return
  const { window, peer } = seat
  const full = before * 2 >= window.size
  const ends = { ends: ended, turnaroundMs: turnaround, slots: slotsOf(seat), latencyMs: peer.latencyMs, full }
  measure(window, ends, core.now)
  notePace(core, seat, begunMs, ended)
  seat.lastEndAt = core.now
  job.lastEndAt = core.now
}

export function hearHandback(core: Core, seat: Seat, units: readonly UnitIndex[], code: string): void {
  let given = 0
  for (const index of units) {
    const unit = seat.job.open.get(index)
    const holder = unit === undefined ? undefined : holderOf(unit, seat)
    if (unit === undefined || holder?.holding !== 'running') continue
    giveBack(core, unit, holder)
    given += 1
  }
  if (given === 0) return
  // A peer that fetches says itself when it may go on.
  if (code === 'E_FETCHING') return
  // An owner is no fault of the machine, and says by the ad when it may go on.
  if (code !== 'E_PAUSED') seat.handbacks += 1
  rest(core, seat, seat.handbacks, code)
}

/** Of several signs of life. */
const FETCHING_REST_MS = 4 * LIMITS.BEAT_MS

/** Refusals that the same ad would bring again. */
const FINAL_REFUSALS: ReadonlySet<string> = new Set([
  'E_ROLE',
  'E_OWN_LIMITS',
  'E_DISK_BUDGET',
  'E_TREE',
  'E_ROOT',
  'E_NO_OS_SANDBOX',
  'E_NATIVE_UNTRUSTED',
  'E_RUNTIME_MISSING',
  'E_RUNTIME_VERSION',
  'E_PROTOCOL_VERSION',
  'E_JOB_INVALID',
  'E_TASK_INVALID',
  'E_NOT_MEMBER',
])

/** The peer does not run the job: its units go elsewhere, and it is asked again later or when its ad changes. */
export function hearRefusal(core: Core, seat: Seat, code: string, retryAfterMs: number | null): void {
  giveBackAll(core, seat)
  if (FINAL_REFUSALS.has(code)) {
    seat.refusal = code
    updateUsable(core, seat)
    return
  }
  seat.refusals += 1
  rest(core, seat, seat.refusals, code, retryAfterMs ?? 0)
}

/** Said again well before the rest is over, for as long as it lasts. */
export function hearFetching(core: Core, seat: Seat, { bytes, of }: { bytes: number; of: number }): void {
  seat.fetched = { bytes, of }
  if (core.now >= seat.restUntil || seat.restCode !== 'E_FETCHING') seat.restedAt = core.now
  seat.restCode = 'E_FETCHING'
  seat.restUntil = core.now + FETCHING_REST_MS
  seat.job.idle.delete(seat)
  seat.job.hungry.delete(seat)
  core.timers.set(seat.restUntil, { kind: 'rested', seat })
}

export function hearReady(core: Core, seat: Seat): void {
  seat.fetched = null
  if (seat.restCode === 'E_FETCHING') seat.restUntil = Math.min(seat.restUntil, core.now)
}

export function hearCompared(core: Core, job: Job, index: UnitIndex, pair: string, same: boolean): void {
  const unit = job.open.get(index)
  if (unit === undefined || unit.asked === null || !unit.asked.delete(pair)) return
  unit.answers ??= new Map()
  unit.answers.set(pair, same)
  if (unit.asked.size > 0) return
  job.comparing -= 1
  if (!diagnose(core, job, unit)) judge(core, job, unit, null)
}

function speak(unit: Unit, holder: Holder): void {
  const { seat } = holder
  seat.spokenOn.add(unit)
  seat.words += 1
  holder.word = seat.words
}

/** One attempt of an open unit came to its end. The first word of a peer stays. */
function hearEnd(core: Core, job: Job, unit: Unit, holder: Holder, end: AttemptEnd): void {
  const { seat } = holder
  const { holding } = holder
  if (holding === 'voiced' || (holding === 'failed' && !end.ok)) return
  job.executions += 1
  unit.ended += 1
  // It comes late, and the unit is with machines of another class by now.
  if (seat.distrusted || !seat.admitted || !isAlike(unit.alike, seat)) {
    takeOut(unit, holder, 'gone')
    return
  }
  if (holding === 'gone' && unit.spare > 0) unit.spare -= 1
  if (end.ok) {
    takeOut(unit, holder, 'voiced')
    const kept = job.verification.keepsValues || job.diagnosis?.suspects ? end.value : ''
    holder.said = { ok: true, digest: end.digest, value: kept }
    speak(unit, holder)
    job.valueBytes += kept.length
    noteGood(seat)
    if (!diagnose(core, job, unit)) judge(core, job, unit, end)
    return
  }
  job.scarred.add(unit)
  const { code, message, blame } = end
  const repeatable = blame === 'program' || blame === 'memory'
  if (repeatable) {
    takeOut(unit, holder, 'voiced')
    holder.said = { ok: false, code, message, blame }
    speak(unit, holder)
  } else {
    takeOut(unit, holder, 'failed')
    holder.fault = { code, message, blame }
    if (blame === 'machine') {
      holder.faulty = true
      noteFault(core, seat, code)
    }
  }
  if (!repeatable || job.verification.copies === 1) unit.failures += 1
  if (repeatable) judge(core, job, unit, null)
  if (job.open.get(unit.index) !== unit) return
  if (unit.failures > job.policy.retries) {
    fail(core, job, unit, end)
    return
  }
  place(core, job, unit)
  core.stirred.add(job)
}
