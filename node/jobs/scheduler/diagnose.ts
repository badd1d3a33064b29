/** Stops a job whose task does not give the same result twice: no number of copies would decide it, and no peer is to blame. */

import { groupsOf, relationOf } from '../verification/agreement.ts'
import type { Cause, PlacedVoice } from '../verification/diagnosis.ts'
import type { JudgedVoice } from '../verification/verification.ts'
import { exonerate, voicesFor } from './credit.ts'
import type { SchedulerEffect } from './events.ts'
import { gateJob } from './jobs.ts'
import type { Core, Job, Unit } from './state.ts'

const NO_ANSWERS: ReadonlyMap<string, boolean> = new Map()

/** Hears the unit, on which there is one voice more. True: the job is stopped. */
export function diagnose(core: Core, job: Job, unit: Unit): boolean {
  if (job.diagnosis === null || unit.ended < 2) return false
  const voices = voicesFor(core, job, unit).map((voice) => placed(core, voice))
  if (voices.length < 2) return false
  const { groups, unknown } = groupsOf(voices, relationOf(job.policy.agree), unit.answers ?? NO_ANSWERS)
  if (unknown.length > 0) return false
  const byPeer = new Map(voices.map((voice) => [voice.peer, voice]))
  const cause = job.diagnosis.hear(
    unit.index,
    groups.map((group) => group.voices.flatMap(({ peer }) => byPeer.get(peer) ?? [])),
    () => workersOf(job),
  )
  if (cause === null) return false
  exonerate(core, job)
  core.effects.push({ type: 'stopped', job: job.spec.id, finding: findingOf(cause, unit, voices) })
  gateJob(core, job, { reason: reasonOf(cause), forMs: 0 })
  return true
}

/** Whoever spoke or may, those that will be back among them. */
function workersOf(job: Job): number {
  let workers = 0
  for (const { usable, block, words } of job.seats.values()) {
    if (usable || words > 0 || block === 'away' || block === 'paused') workers += 1
  }
  return workers
}

const reasonOf = (cause: Cause) => (cause.kind === 'platform' ? 'platform-differs' : 'not-repeatable')

/** Two that do not agree, so that somebody can look where they differ. */
function findingOf(
  cause: Cause,
  unit: Unit,
  voices: readonly PlacedVoice[],
): Extract<SchedulerEffect, { type: 'stopped' }>['finding'] {
  // Of exact values only the digest is kept while all is well.
  const values = voices.flatMap(({ peer, platform, said }) => {
    return said.ok && said.value !== '' ? [{ peer, platform, ...said }] : []
  })
  const [a] = values
  const apart = cause.kind === 'platform' ? 'platform' : 'peer'
  const b = values.find((value) => a !== undefined && value.digest !== a.digest && value[apart] !== a[apart])
  const pair = a === undefined || b === undefined ? null : ([a, b] as const)
  return {
    reason: reasonOf(cause),
    unit: unit.index,
    values: pair === null ? null : [pair[0].value, pair[1].value],
    platforms: cause.kind === 'platform' ? cause.platforms : null,
  }
}

function placed(core: Core, voice: JudgedVoice): PlacedVoice {
  return { ...voice, platform: core.peers.get(voice.peer)?.platform ?? '' }
}
