/** What runs the failed units of a job again: its sweep under the same numbers, with what was mended. */

import type { z } from 'zod'
import type { retryRequestSchema } from '../../protocol/api.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Manifest } from '../../protocol/manifest.ts'
import { runsOf } from '../../protocol/sweep/chosen.ts'
import type { JobRow, JobStore } from '../store/job-store.ts'
import type { JobDescription } from './intake.ts'

export type RetryRequest = z.output<typeof retryRequestSchema>

/** @throws E_JOB_INVALID when nothing has failed, or too scattered */
export function retryOf(jobs: JobStore, job: JobRow, manifest: Manifest, request: RetryRequest): JobDescription {
  const units = runsOf(jobs.results.failedUnits(job.n))
  if (units.length === 0) throw new TalkootError('E_JOB_INVALID', `job ${job.id.slice(0, 8)} has no failed units`)
  if (units.length > 2 * LIMITS.UNIT_RUNS_MAX) {
    throw new TalkootError(
      'E_JOB_INVALID',
      `its failed units are over ${LIMITS.UNIT_RUNS_MAX} runs of one after another: run the sweep anew`,
    )
  }
  const { name, task, sweep, policy } = manifest
  const { after, ...mended } = request
  return { name, task, policy, ...mended, sweep, after, retryOf: { job: job.id, units } }
}
