/** Does what the scheduler says is to be done. */

import type { JobId } from '../../protocol/manifest.ts'
import type { Comparer } from './comparer.ts'
import type { DecisionLog } from './decision-log.ts'
import type { Dispatch } from './dispatch.ts'
import { toFinding } from './finding.ts'
import type { Gates } from './gates.ts'
import type { LiveJob } from './live-job.ts'
import type { Recall } from './recall.ts'
import type { SchedulerEffect } from './scheduler/events.ts'

type Components = {
  live: ReadonlyMap<JobId, LiveJob>
  gates: Pick<Gates, 'stop'>
  dispatch: Dispatch
  comparer: Comparer
  log: DecisionLog
  recall: Recall
  onSettled(job: LiveJob): void
}

export class Effects {
  readonly #components: Components

  constructor(components: Components) {
    this.#components = components
  }

  apply(effect: SchedulerEffect): void {
    const { live, dispatch, log } = this.#components
    if (effect.type === 'drop') dispatch.drop(effect.peer, effect.code)
    else if (effect.type === 'revoke') dispatch.revoke(effect.peer, effect.job, effect.units)
    else if (effect.type === 'credit') log.add({ ...effect, kind: 'credit', job: null })
    else {
      const job = live.get(effect.job)
      if (job !== undefined) this.#applyTo(job, effect)
    }
  }

  #applyTo(job: LiveJob, effect: Exclude<SchedulerEffect, { type: 'drop' | 'revoke' | 'credit' }>): void {
    const { gates, dispatch, comparer, log, recall, onSettled } = this.#components
    const { n } = job.stored
    switch (effect.type) {
      case 'run':
        dispatch.run(effect.peer, effect.job, job.inputs(effect.units))
        break
      case 'compare':
        comparer.compare(job.manifest, effect)
        break
      case 'evidence':
        log.add({ kind: 'evidence', job: n, peer: effect.peer, about: effect.kind, count: effect.count })
        break
      case 'caught':
        log.add({ ...effect, kind: 'caught', job: n })
        break
      case 'cleared':
        log.add({ kind: 'cleared', job: n, unit: effect.unit })
        break
      case 'accepted':
      case 'failed':
        this.#decide(job, effect)
        break
      case 'reopened':
        if (!effect.withdrawn) break
        job.reopen(effect.unit)
        log.add({ kind: 'withdrawn', job: n, unit: effect.unit })
        break
      case 'recall':
        recall.read(job.stored, effect.of)
        break
      case 'stopped':
        gates.stop(job.stored, toFinding(effect.finding, job.manifest.policy))
        break
      case 'settled':
        onSettled(job)
        break
    }
  }

  #decide(job: LiveJob, effect: Extract<SchedulerEffect, { type: 'accepted' | 'failed' }>): void {
    const { log } = this.#components
    const { unit, voices, attempts } = effect
    const { n } = job.stored
    if (effect.confirmed) {
      log.add({ kind: 'confirmed', job: n, unit, voices, attempts, error: 'error' in effect ? effect.error : null })
      return
    }
    const ok = effect.type === 'accepted'
    const [first, ...others] = voices.map((voice) => voice.digest ?? voice.code)
    log.add({
      kind: 'result',
      job: n,
      result: {
        unit,
        seq: job.settle(unit),
        ok,
        value: ok ? effect.value : effect.message,
        code: ok ? null : effect.code,
        blame: ok ? null : effect.blame,
        voices,
        attempts,
        disagreed: others.some((said) => said !== first),
        error: ok ? effect.error : null,
        revision: 0,
      },
    })
  }
}
