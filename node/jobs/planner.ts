/** Answers `plan`: what would become of a job if it were submitted now. */

import type { z } from 'zod'
import { LIMITS } from '../../protocol/limits.ts'
import type { Policy } from '../../protocol/manifest.ts'
import type { Plan, planRequestSchema } from '../../protocol/plan.ts'
import { nearest, REASONS, type Reason } from '../../protocol/reasons.ts'
import type { CompiledSweep } from '../../protocol/sweep/generator.ts'
import type { EvidenceStore } from '../store/evidence.ts'
import type { UnitTime } from '../store/unit-times.ts'
import { confidencePlan } from './confidence-plan.ts'
import { type Capacity, finishBand } from './estimate.ts'
import type { LiveJob } from './live-job.ts'
import { explainMatch } from './matching/explain.ts'
import type { Candidate } from './matching/expression.ts'
import { compilePolicy } from './matching/policy.ts'
import { relaxationsOf } from './matching/relax.ts'
import type { JobProgress } from './scheduler/events.ts'

export type PlanDescription = z.output<typeof planRequestSchema>

type Components = {
  evidence: Pick<EvidenceStore, 'standing' | 'creditAt'>
  /** The time of a unit in the last job with the task; null: there was none. */
  unitTime(task: string): UnitTime | null
  knownPeers(): Candidate[]
  compile(sweep: PlanDescription['sweep']): CompiledSweep
}

/** Units of another sweep may be longer than those that were measured. */
const HISTORY_SPREAD = 0.5
const GIVEN_SPREAD = 0.1

/** @throws E_SWEEP_*, E_EXPRESSION, E_JOB_INVALID */
export function planJob(components: Components, { task, runtime, sweep, policy, unitMs }: PlanDescription): Plan {
  const candidates = components.knownPeers()
  const units = components.compile(sweep).count
  const wanted = { ...policy, runtime }
  const matched = compilePolicy(wanted)
  const matching = candidates.filter((candidate) => matched.misfit(candidate) === null)
  const active = matching.filter(({ ad }) => ad.paused === null)
  const capacities = active.map((candidate) => capacityOf(candidate, policy.cpus))
  const time = unitTimeOf(components, task, unitMs)
  const confidence = confidenceOf(policy, units, time, active, components.evidence)
  const { copies, voices } = copiesOf(policy, confidence?.copies ?? 1)
  const extra = badShare(components.evidence, active)
  const spread = time?.from === 'given' ? GIVEN_SPREAD : HISTORY_SPREAD
  const { clauses } = explainMatch(wanted, candidates)
  return {
    schema: 'talkoot.plan/1',
    units,
    peers: {
      known: candidates.length,
      matching: matching.length,
      paused: matching.length - active.length,
      slots: sum(capacities, ({ slots }) => slots),
      freeSlots: sum(capacities, ({ freeSlots }) => freeSlots),
    },
    clauses: clauses.map(({ clause, excludes, left }) => ({ clause, excludes, remaining: left })),
    relaxations: relaxationsOf(wanted, candidates, LIMITS.RELAXATIONS_MAX),
    blocked: blockedBy(matched.misfit, candidates, active.length, copies),
    executions: {
      likely: Math.round((confidence?.executions ?? units * copies) * (1 + extra)),
      most: units * (voices + policy.retries),
    },
    confidence: confidence?.shown ?? null,
    unitTime: time,
    finish:
      time &&
      finishBand(
        { units, copies: confidence === null ? copies : confidence.executions / units, unitMs: time.ms, extra, spread },
        capacities,
      ),
    assumes: assumptions(time, extra, confidence === null ? copies : 1),
  }
}

/** What an ended job shows of its task, for later plans; nothing if no end was timed. */
export function tookOf(
  job: LiveJob | undefined,
  progress: JobProgress | null,
): { took: { task: string } & UnitTime } | undefined {
  if (job === undefined || progress === null || progress.unitMs === null) return undefined
  const { unitMs, executions: units } = progress
  return { took: { task: job.manifest.task.digest, job: job.id, unitMs, units } }
}

/** Fewer peers than this, all strangers: by chance more of them lie than is stated, and they agree. */
const STRANGERS_FEW = 50

function confidenceOf(
  { verify, cpus }: Policy,
  units: number,
  time: Plan['unitTime'],
  peers: readonly Candidate[],
  evidence: Components['evidence'],
) {
  if (verify.kind !== 'confidence') return null
  const planned = peers.map(({ id, trust, ad }) => {
    const credit = evidence.creditAt(id, Date.now()) ?? { checks: 0, caught: 0 }
    return { trust, credit, slots: Math.floor(ad.cpus / cpus), speed: ad.speed, unitMs: time && time.ms / ad.speed }
  })
  const { executions, first: copies, costs } = confidencePlan(verify, units, planned)
  const { goal, collusion } = verify
  const strangers = planned.filter(({ trust }) => trust === 'stranger').length
  const limits = strangers === 0 ? [] : ['it holds while at most 40% of the strangers plot together']
  if (strangers > 0 && strangers === planned.length && strangers < STRANGERS_FEW && collusion > 0.5) {
    limits.push(
      `with ${strangers} strangers and nobody else, more may lie than is assumed: bring members or this machine`,
    )
  }
  return { executions, copies, shown: { goal, collusion, copies, costs, limits } }
}

function copiesOf({ verify }: Policy, first: number): { copies: number; voices: number } {
  if (verify.kind === 'none') return { copies: 1, voices: 1 }
  if (verify.kind === 'quorum') return { copies: verify.agree, voices: verify.of }
  return { copies: first, voices: LIMITS.UNIT_VOICES_MAX }
}

/** Of all results of these peers that others checked, the share that was wrong or failed. */
function badShare(evidence: Components['evidence'], peers: readonly Candidate[]): number {
  const standings = peers.map(({ id }) => evidence.standing(id))
  const bad = sum(standings, ({ outvoted, faulty }) => outvoted + faulty)
  return bad === 0 ? 0 : bad / (bad + sum(standings, ({ agreed }) => agreed))
}

function unitTimeOf(components: Components, task: string | null, unitMs: number | null): Plan['unitTime'] {
  if (unitMs !== null) return { ms: unitMs, from: 'given', job: null, units: 0 }
  const known = task === null ? null : components.unitTime(task)
  return known && { ms: known.unitMs, from: 'history', job: known.job, units: known.units }
}

/** As a job that is submitted now would say, once its sessions are open. */
function blockedBy(
  misfit: (candidate: Candidate) => Reason | null,
  candidates: readonly Candidate[],
  active: number,
  copies: number,
): Plan['blocked'] {
  if (active >= copies) return null
  const reasons = candidates.map((candidate) => misfit(candidate) ?? 'paused').filter((code) => code !== 'no-cores')
  const reason = active > 0 ? 'quorum-short' : nearest(reasons)
  return { reason, ...REASONS[reason] }
}

/** Of units that take so many cores each. */
const capacityOf = ({ ad }: Candidate, cpus: number): Capacity => ({
  slots: Math.floor(ad.cpus / cpus),
  freeSlots: Math.floor(ad.freeSlots / cpus),
  speed: ad.speed,
})

function assumptions(time: Plan['unitTime'], extra: number, copies: number): string[] {
  const said = ['no peer comes, leaves, or is paused', 'peers are as fast as their ads say']
  if (time === null) said.push('nothing is known of the time of a unit: give --unit-time, or run a few with --trial')
  else if (time.from === 'given') said.push('units take the time given')
  else said.push(`units take what ${time.units} took in job ${time.job?.slice(0, 12)}`)
  if (extra > 0) said.push(`${(100 * extra).toFixed(1)}% of results are wrong or fail, as with these peers so far`)
  else said.push('no unit fails and no result is wrong')
  if (copies > 1) said.push(`each unit runs on ${copies} different peers`)
  return said
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}
