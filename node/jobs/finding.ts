/** Why a job was stopped, in words and fields a person can act on. */

import { type Finding, findingSchema } from '../../protocol/finding.ts'
import type { Policy } from '../../protocol/manifest.ts'
import type { JobRow } from '../store/job-store.ts'
import type { SchedulerEffect } from './scheduler/events.ts'
import { firstDifference } from './verification/difference.ts'

/** Names the first part of the two values that differs by more than the job allows. */
export function toFinding(
  { reason, unit, values, platforms }: Extract<SchedulerEffect, { type: 'stopped' }>['finding'],
  { agree }: Pick<Policy, 'agree'>,
): Finding {
  const tolerance = agree.kind === 'tolerance' ? agree : undefined
  const [a, b] = (values ?? []).map((value) => JSON.parse(value))
  return { reason, unit, platforms, difference: values === null ? null : firstDifference(a, b, tolerance) }
}

/** As the ledger keeps it; null: the job was not stopped. */
export const findingOf = ({ finding }: Pick<JobRow, 'finding'>): Finding | null =>
  finding === null ? null : findingSchema.parse(JSON.parse(finding))
