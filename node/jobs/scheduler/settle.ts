/** From voices to an outcome: each unit is decided once, and everything that hung on it is let go. */

import { type ErrorCode, isErrorCode } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Blame } from '../../../protocol/work.ts'
import { pairKey, type Verdict } from '../verification/verification.ts'
import { keepCanary } from './canaries.ts'
import { aboutUnit, catchPeer, confirm, noteUnchecked, overturn, voicesFor } from './credit.ts'
import { leaveLine } from './line.ts'
import { noteUnended } from './pace.ts'
import { progressOf } from './progress.ts'
import { closeByChecks, withdraw } from './reopen.ts'
import { type Core, type Job, settledCount, type Unit, voicesOf } from './state.ts'
import { takeBackSurplus } from './surplus.ts'
import { noteAgreed, noteFaulty, noteOutvoted, noteServed } from './trust.ts'
import { addStray, countWasted, othersFor, place, revoke, setLater, takeOut } from './units.ts'
import { letGo, withhold } from './withheld.ts'

type Failure = { code: string; message: string; blame: Blame }

const NO_ANSWERS: ReadonlyMap<string, boolean> = new Map()

/** Looks at everything heard about a unit and does what follows. `value` is the newest heard, if any. */
export function judge(core: Core, job: Job, unit: Unit, heard: { digest: string; value: string } | null): void {
  const [voices, about] = [voicesFor(core, job, unit), aboutUnit(core, job, unit)]
  const verdict = job.verification.judge(voices, unit.answers ?? NO_ANSWERS, othersFor(job, unit), about)
  if ('checked' in verdict && verdict.checked !== undefined) confirm(core, unit, verdict.checked)
  if (verdict.kind !== 'withheld') letGo(job, unit)
  switch (verdict.kind) {
    case 'accepted':
      accept(core, job, unit, verdict, heard)
      break
    case 'failed':
      agreeOnFailure(core, job, unit, verdict)
      break
    case 'impossible':
      disagree(core, job, unit)
      break
    case 'compare':
      compare(core, job, unit, verdict.pairs)
      unit.needs = 0
      place(core, job, unit)
      break
    case 'withheld':
      keepOpen(core, job, unit, 0)
      withhold(core, job, unit)
      break
    case 'needs':
      if (voices.length > 1) withdraw(core, job, unit)
      setLater(job, unit, verdict.later === true)
      keepOpen(core, job, unit, verdict.copies)
  }
}

/** What waits on a peer's word, or for a last check of it, need not wait longer. False: it is undecided still. */
export function decideNow(core: Core, job: Job, unit: Unit): boolean {
  if (!job.withheld.has(unit) && !unit.check) return false
  unit.check = false
  unit.final = true
  judge(core, job, unit, null)
  return job.open.get(unit.index) !== unit
}

/** The unit stays open for that many further voices. */
function keepOpen(core: Core, job: Job, unit: Unit, copies: number): void {
  unit.needs = copies
  takeBackSurplus(core, unit)
  place(core, job, unit)
  if (unit.missing > 0) core.stirred.add(job)
}

function disagree(core: Core, job: Job, unit: Unit): void {
  job.disagreements += 1
  const message = `${unit.ended} peers ran this unit and too few of them found the same`
  fail(core, job, unit, { code: 'E_NO_QUORUM', message, blame: 'disagreement' })
}

/** Decides the unit as failed. */
export function fail(core: Core, job: Job, unit: Unit, { code, message, blame }: Failure): void {
  const confirmed = unit.before === code && !unit.withdrawn
  if (!confirmed) withdraw(core, job, unit)
  job.failed += 1
  const known: ErrorCode = isErrorCode(code) ? code : 'E_RETRIES'
  const voices = voicesOf(unit)
  const { index, ended: attempts } = unit
  core.effects.push({
    type: 'failed',
    job: job.spec.id,
    unit: index,
    code: known,
    message,
    blame,
    voices,
    attempts,
    confirmed,
  })
  close(core, job, unit, false)
}

/** The job has no more to decide. */
export function endJob(core: Core, job: Job): void {
  core.ended.set(job.spec.id, progressOf(job, core.now))
  for (const id of core.ended.keys()) {
    if (core.ended.size <= LIMITS.JOBS_ACTIVE_MAX) break
    core.ended.delete(id)
  }
  core.jobs.delete(job.spec.id)
  for (const seat of job.seats.values()) {
    seat.peer.seats.splice(seat.peer.seats.indexOf(seat), 1)
    leaveLine(seat)
    core.refills.delete(seat)
    core.freed.add(seat.peer)
  }
  // Timers may still hold the job.
  job.seats.clear()
  job.open.clear()
  for (const jobs of [core.stirred, core.shrunk, core.doubting, core.decided, core.ending]) jobs.delete(job)
}

export function finishIfSettled(core: Core, job: Job): void {
  if (settledCount(job) < job.spec.size || job.recalls > 0) return
  if (job.crediting && !job.closed && closeByChecks(core, job)) return
  core.effects.push({ type: 'settled', job: job.spec.id })
  endJob(core, job)
}

function accept(
  core: Core,
  job: Job,
  unit: Unit,
  { digest, agreed, against, error }: Extract<Verdict, { kind: 'accepted' }>,
  heard: { digest: string; value: string } | null,
): void {
  const value = heard?.digest === digest ? heard.value : keptValue(job, unit, digest)
  const { index } = unit
  const voiced = [...agreed, ...against]
  tellAccepted(core, job, unit, { digest, value, error: error ?? null })
  if (unit.before !== null && unit.before !== digest) overturn(core, job, unit.index)
  if (agreed.length > 1) for (const peer of agreed) noteAgreed(core, job.seats.get(peer))
  for (const peer of agreed) noteServed(core, job.seats.get(peer))
  if (against.length > 0) job.disagreements += 1
  for (const { seat, said, faulty } of unit.holders) {
    if (faulty || said?.ok === false) noteFaulty(core, seat, index)
  }
  close(core, job, unit, true)
  if (job.crediting && agreed.length > 1) keepCanary(job, unit, { ok: true, digest, value }, voiced)
  const [only] = agreed
  if (job.crediting && agreed.length === 1 && only !== undefined) noteUnchecked(job, job.seats.get(only), unit)
  for (const peer of against) {
    const seat = job.seats.get(peer)
    if (seat === undefined || !unit.holders.some((holder) => holder.seat === seat && holder.said?.ok)) continue
    noteOutvoted(core, seat, index)
    if (job.crediting) catchPeer(core, unit, seat)
  }
}

function tellAccepted(
  core: Core,
  job: Job,
  unit: Unit,
  { digest, value, error }: { digest: string; value: string; error: number | null },
): void {
  const confirmed = unit.before === digest && !unit.withdrawn
  if (!confirmed) withdraw(core, job, unit)
  job.accepted += 1
  const { index, ended: attempts } = unit
  const voices = voicesOf(unit)
  core.effects.push({ type: 'accepted', job: job.spec.id, unit: index, value, voices, attempts, error, confirmed })
}

/** It was looked at again, and there is no time to end that: what was decided stands. False: it does not. */
export function leaveAsBefore(core: Core, job: Job, unit: Unit): boolean {
  const { before: digest, withdrawn } = unit
  if (digest === null || withdrawn) return false
  tellAccepted(core, job, unit, { digest, value: keptValue(job, unit, digest), error: null })
  close(core, job, unit, true)
  return true
}

function keptValue(job: Job, unit: Unit, digest: string): string {
  if (job.verification.keepsValues) {
    for (const { said } of unit.holders) if (said?.ok && said.digest === digest) return said.value
  }
  throw new RangeError('a verifier that keeps no values accepted one that was not just heard')
}

function agreeOnFailure(core: Core, job: Job, unit: Unit, verdict: Extract<Verdict, { kind: 'failed' }>): void {
  const { agreed, against, failure } = verdict
  if (agreed.length > 1) for (const peer of agreed) noteAgreed(core, job.seats.get(peer))
  if (against.length > 0) job.disagreements += 1
  fail(core, job, unit, failure)
  if (unit.before !== null && unit.before !== failure.code) overturn(core, job, unit.index)
  for (const peer of against) noteOutvoted(core, job.seats.get(peer), unit.index)
}

function compare(core: Core, job: Job, unit: Unit, pairs: [string, string][]): void {
  unit.asked ??= new Set()
  if (unit.asked.size === 0) {
    if (job.comparing === 0) job.comparingSince = core.now
    job.comparing += 1
  }
  for (const [a, b] of pairs) {
    const key = pairKey(a, b)
    if (unit.asked.has(key)) continue
    unit.asked.add(key)
    core.effects.push({
      type: 'compare',
      job: job.spec.id,
      unit: unit.index,
      a: { digest: a, value: keptValue(job, unit, a) },
      b: { digest: b, value: keptValue(job, unit, b) },
    })
  }
}

/** Lets go of a decided unit; copies of it that still run are not wanted any more. */
function close(core: Core, job: Job, unit: Unit, accepted: boolean): void {
  core.decided.add(job)
  job.open.delete(unit.index)
  job.scarred.delete(unit)
  job.doubted.delete(unit)
  setLater(job, unit, false)
  letGo(job, unit)
  job.pool.place(unit, 0)
  if (unit.asked !== null && unit.asked.size > 0) job.comparing -= 1
  for (const holder of unit.holders) {
    const { seat } = holder
    seat.named -= 1
    if (holder.said !== null) {
      seat.spokenOn.delete(unit)
      if (job.crediting) core.refills.add(seat)
    }
    if (holder.said?.ok) job.valueBytes -= holder.said.value.length
    if (holder.holding !== 'running') continue
    noteUnended(core, seat, holder.begunAt)
    // Begun, it counts now; if not, once it ends nevertheless.
    if (accepted && holder.begunAt !== null) countWasted(job)
    else addStray(seat, unit.index, accepted)
    takeOut(unit, holder, 'gone')
    revoke(core, seat, unit.index)
    core.refills.add(seat)
  }
}
