/**
 * Units that are decided and looked at again: because a peer was caught whose word they hang on, or so that a peer is
 * checked before the job ends. Decisions are in the ledger, not here: they are asked for by `recall`.
 */

import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { assumptionsOf } from '../verification/by-policy.ts'
import { closingCheck } from '../verification/checked-units.ts'
import type { JudgedVoice } from '../verification/verification.ts'
import { takeClass } from './alike.ts'
import { creditOf, doubt } from './credit.ts'
import type { Recalled, Voice } from './events.ts'
import type { Core, Job, Unit } from './state.ts'
import { addHolder, openUnit } from './units.ts'

const NO_ANSWERS: ReadonlyMap<string, boolean> = new Map()

/** What was decided with the word of a peer that was caught, or is to be checked. */
export function hearRecalled(core: Core, job: Job, decisions: readonly Recalled[], last: boolean): void {
  for (const decision of decisions) {
    if (job.open.has(decision.unit)) continue
    const check = job.checks.delete(decision.unit)
    if (check || !stands(core, job, decision)) doubt(core, job, reopen(core, job, decision, check))
  }
  if (!last) return
  job.recalls -= 1
  core.decided.add(job)
}

/** When all is decided: each peer whose word alone was taken is checked once more, or was long ago. True: some are. */
export function closeByChecks(core: Core, job: Job): boolean {
  job.closed = true
  const { checkShare } = assumptionsOf(job.policy)
  for (const { admitted, unchecked } of job.seats.values()) {
    const units = unchecked.map(({ unit }) => unit)
    const unit = admitted ? closingCheck(units, checkShare, () => uniformFloat64(core.components.random)) : null
    if (unit !== null) job.checks.add(unit)
  }
  if (job.checks.size === 0) return false
  job.recalls += 1
  core.effects.push({ type: 'recall', job: job.spec.id, of: { units: [...job.checks] } })
  return true
}

/** The decision does not stand while it is looked at. */
export function withdraw(core: Core, job: Job, unit: Unit): void {
  if (unit.before === null || unit.withdrawn) return
  unit.withdrawn = true
  core.effects.push({ type: 'reopened', job: job.spec.id, unit: unit.index, withdrawn: true })
}

/** Whether it would be decided so today. Nobody is asked again who was not caught since. */
function stands(core: Core, job: Job, { unit, ok, said, value, voices }: Recalled): boolean {
  const judged = voices.flatMap((voice) => {
    const saidThen = wordOf(voice, said, value)
    if (saidThen === null) return []
    const { trust, independence } = core.peers.get(voice.peer) ?? { trust: 'stranger', independence: [] }
    const confirmed = isConfirmed(voice, voices)
    const credit = creditOf(core, voice.peer, confirmed)
    return [{ peer: voice.peer, trust, independence, credit, said: saidThen }]
  })
  if (judged.every(({ credit }) => credit.caught === 0)) return true
  const verdict = job.verification.judge(judged, NO_ANSWERS, job.usable, { unit, final: true, next: job.next })
  return ok ? verdict.kind === 'accepted' && verdict.digest === said : verdict.kind === 'failed'
}

/** With the voices of peers that can be told; the others are asked again, or somebody else is. */
function reopen(core: Core, job: Job, { unit: index, ok, said, value, voices }: Recalled, check: boolean): Unit {
  const unit = openUnit(job, index, 0)
  unit.check = check
  unit.before = said
  if (index >= job.cursor) job.redone.add(index)
  if (ok) job.accepted -= 1
  else job.failed -= 1
  for (const voice of voices) {
    const seat = job.seats.get(voice.peer)
    const saidThen = wordOf(voice, said, value)
    if (seat === undefined || saidThen === null) continue
    const confirmed = isConfirmed(voice, voices)
    const word = {
      said: saidThen,
      word: 0,
      confirmed,
      together: false,
      holding: 'voiced',
      begunAt: null,
      faulty: false,
      fault: null,
    } as const
    addHolder(unit, { ...word, seat, since: core.now })
    takeClass(unit, seat)
    seat.named += 1
    seat.spokenOn.add(unit)
    if (saidThen.ok) job.valueBytes += saidThen.value.length
  }
  if (check) core.effects.push({ type: 'reopened', job: job.spec.id, unit: index, withdrawn: false })
  else withdraw(core, job, unit)
  return unit
}

/** Null: the value it said is not known any more. */
function wordOf({ digest, code }: Voice, accepted: string, value: string): JudgedVoice['said'] | null {
  if (digest === null) return { ok: false, code: code ?? '', message: '', blame: 'program' }
  return digest === accepted ? { ok: true, digest, value } : null
}

/** Somebody else said the same. */
function isConfirmed({ digest, code }: Voice, voices: readonly Voice[]): boolean {
  return voices.filter((other) => other.digest === digest && other.code === code).length >= 2
}
