/** A job comes, runs out of time, or is called off. */

import { LIMITS } from '../../../protocol/limits.ts'
import { diagnosisOf } from '../verification/by-policy.ts'
import { Bag } from './bag.ts'
import { rememberCatches } from './credit.ts'
import type { Gate, JobSpec } from './events.ts'
import { enlist, isBehind } from './grants.ts'
import { Pool } from './pool.ts'
import { takeSeat } from './sessions.ts'
import { decideNow, endJob, fail, leaveAsBefore } from './settle.ts'
import { Shape } from './shape.ts'
import type { Core, Job } from './state.ts'
import { giveBackAll, openUnit } from './units.ts'

/** @throws E_EXPRESSION, and changes nothing then */
export function addJob(core: Core, spec: JobSpec): void {
  if (core.jobs.has(spec.id)) return
  const job = newJob(core, spec)
  core.jobs.set(spec.id, job)
  rememberCatches(core, job)
  for (const peer of core.peers.values()) {
    if (!peer.up) continue
    enlist(core, takeSeat(core, job, peer))
  }
  core.stirred.add(job)
  core.decided.add(job)
  if (job.crediting && job.restored) {
    // Somebody may have been caught just before the restart.
    job.recalls += 1
    core.effects.push({ type: 'recall', job: spec.id, of: { caught: true } })
  }
  const { deadlineMs } = spec.policy
  if (deadlineMs > 0) {
    core.timers.set(core.now + Math.max(0, deadlineMs - (spec.ageMs ?? 0)), { kind: 'deadline', job })
  }
}

export function cancelJob(core: Core, job: Job): void {
  for (const seat of job.seats.values()) {
    if (seat.inFlight.size === 0) continue
    core.effects.push({ type: 'revoke', peer: seat.peer.id, job: job.spec.id, units: null })
    seat.peer.inFlight -= seat.inFlight.size
  }
  endJob(core, job)
}

/** A job that waits as a whole gives out nothing; what its peers still say of units they were given counts. */
export function gateJob(core: Core, job: Job, gate: Gate | null): void {
  job.gate = gate === null ? null : { reason: gate.reason, since: core.now - gate.forMs }
  job.changedAt = core.now
  // Who lets a stopped job go on sees it stopped again if nothing has changed.
  if (gate === null) job.diagnosis = diagnosisOf(job.policy)
  for (const seat of job.seats.values()) {
    if (gate !== null && seat.inFlight.size > 0) {
      core.effects.push({ type: 'revoke', peer: seat.peer.id, job: job.spec.id, units: null })
      giveBackAll(core, seat)
    }
    enlist(core, seat)
  }
  core.stirred.add(job)
}

/** Fails what is undecided, SETTLED_PER_STEP_MAX units a step. True if more is left for the next step. */
export function passDeadline(core: Core, job: Job): boolean {
  job.deadlinePassed = true
  const failure = { code: 'E_DEADLINE', message: 'the deadline of the job passed', blame: 'time' } as const
  let left: number = LIMITS.SETTLED_PER_STEP_MAX
  for (const unit of job.open.values()) {
    if (left-- === 0) break
    if (!leaveAsBefore(core, job, unit) && !decideNow(core, job, unit)) fail(core, job, unit, failure)
  }
  while (left > 0 && job.cursor < job.spec.size) {
    const index = job.cursor++
    if (isBehind(job, index)) continue
    fail(core, job, openUnit(job, index), failure)
    left -= 1
  }
  const more = job.open.size > 0 || job.cursor < job.spec.size
  if (more) core.timers.set(core.now, { kind: 'deadline', job })
  return more
}

function newJob(core: Core, spec: JobSpec): Job {
  const { policy, runtime = 'js' } = spec
  const failed = spec.failedCount ?? 0
  return {
    spec,
    policy,
    matched: core.components.match({ ...policy, runtime }),
    verification: core.components.verification(policy, spec.checkKey),
    crediting: policy.verify.kind === 'confidence',
    begun: spec.settledCount > 0,
    cursor: 0,
    open: new Map(),
    pool: new Pool(),
    later: new Pool(),
    withheld: new Set(),
    withheldSince: 0,
    diagnosis: diagnosisOf(policy),
    catches: new Set(),
    canaries: [],
    doubted: new Set(),
    redone: new Set(),
    next: { trust: 'stranger' },
    unproven: 0,
    surveyAt: Number.NEGATIVE_INFINITY,
    grace: 0,
    recalls: 0,
    checks: new Set(),
    working: 0,
    held: new Set(),
    closing: false,
    closed: false,
    seats: new Map(),
    classes: new Map(),
    idle: new Bag(),
    hungry: new Bag(),
    scarred: new Set(),
    usable: 0,
    accepted: spec.settledCount - failed,
    failed,
    running: 0,
    executions: 0,
    wasted: 0,
    disagreements: 0,
    comparing: 0,
    comparingSince: 0,
    valueBytes: 0,
    reference: { busyMs: 0, ends: 0 },
    shape: new Shape(),
    rate: 0,
    bestMs: 0,
    weighAt: 0,
    passed: false,
    lastEndAt: core.now,
    checkedAt: Number.NEGATIVE_INFINITY,
    restored: spec.settledCount > 0,
    watching: false,
    deadlinePassed: false,
    gate: spec.gate ? { reason: spec.gate.reason, since: core.now - spec.gate.forMs } : null,
    addedAt: core.now,
    changedAt: core.now,
  }
}
