/** The scheduler core alone: no I/O, time passed in. */

import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { SchedulerEffect } from '../../node/jobs/scheduler/events.ts'
import { createScheduler } from '../../node/jobs/scheduler/scheduler.ts'
import { policySchema } from '../../protocol/manifest.ts'
import { adOf } from '../../test/sim/ads.ts'
import type { Benchmark, Sample } from '../benchmark.ts'

const rate = { unit: '/s', better: 'more', per: 'cpu', tolerance: 0.3 } as const

export const scheduler: Benchmark = {
  name: 'scheduler',
  about: 'units a second through the scheduler core alone, in memory',
  figures: { '2 peers': rate, '100 peers, quorum 2': rate },
  rounds: { full: 3, quick: 1 },
  open: async ({ quick }) => ({
    round: async (): Promise<Sample> => ({
      '2 peers': unitsPerSecond(2, { kind: 'none' }, quick ? 100_000 : 1_000_000),
      '100 peers, quorum 2': unitsPerSecond(100, { kind: 'quorum', agree: 2, of: 3 }, quick ? 50_000 : 500_000),
    }),
    [Symbol.asyncDispose]: async () => undefined,
  }),
}

function unitsPerSecond(peers: number, verify: object, units: number): number {
  const core = createScheduler({ random: xoroshiro128plus(1) })
  const frames: { peer: string; units: number[] }[] = []
  let [now, accepted] = [0, 0]
  const perform = (effects: SchedulerEffect[]) => {
    for (const effect of effects) {
      if (effect.type === 'run') frames.push(effect)
      else if (effect.type === 'accepted') accepted += 1
    }
  }
  for (let i = 0; i < peers; i++) {
    const traits = { id: `peer-${i}`, slots: 4, speed: 1, room: 'a' } as const
    perform(core.step({ type: 'peer.up', peer: traits.id, trust: 'member', ad: adOf(traits) }, now))
  }
  const started = performance.now()
  const job = {
    id: 'job',
    size: units,
    policy: policySchema.parse({ verify }),
    isSettled: () => false,
    settledCount: 0,
  }
  perform(core.step({ type: 'job.added', job }, now))
  // Each frame comes back whole, in the order it was sent.
  for (let frame = frames.shift(); frame !== undefined; frame = frames.shift()) {
    now += 0.05
    const attempts = frame.units.map((unit) => ({ unit, ok: true as const, value: '1', digest: '#1' }))
    perform(core.step({ type: 'results', peer: frame.peer, job: 'job', attempts }, now))
    // At the end a peer may wait for what others are expected to do.
    for (let wake = core.nextWake(); frames.length === 0 && accepted < units && wake !== null; ) {
      now = Math.max(now, wake)
      perform(core.step({ type: 'tick' }, now))
      wake = core.nextWake()
    }
  }
  return accepted / ((performance.now() - started) / 1_000)
}
