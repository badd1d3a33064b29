/** Units a second through the scheduler core alone: `node bench/scheduler.ts`. Prints one JSON line a case. */

import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { SchedulerEffect } from '../node/jobs/scheduler/events.ts'
import { createScheduler } from '../node/jobs/scheduler/scheduler.ts'
import { policySchema } from '../protocol/manifest.ts'
import { adOf } from '../test/sim/ads.ts'

const UNITS = 1_000_000

for (const peers of [2, 100]) {
  for (const verify of [{ kind: 'none' }, { kind: 'quorum', agree: 2, of: 3 }]) measure(peers, verify)
}

function measure(peers: number, verify: object): void {
  const scheduler = createScheduler({ random: xoroshiro128plus(1) })
  const frames: { peer: string; units: number[] }[] = []
  let [now, accepted, executions, heapMiB] = [0, 0, 0, 0]
  const perform = (effects: SchedulerEffect[]) => {
    for (const effect of effects) {
      if (effect.type === 'run') frames.push(effect)
      else if (effect.type === 'accepted') accepted += 1
    }
  }
  for (let i = 0; i < peers; i++) {
    const traits = { id: `peer-${i}`, slots: 4, speed: 1, room: 'a' } as const
    perform(scheduler.step({ type: 'peer.up', peer: traits.id, trust: 'member', ad: adOf(traits) }, now))
  }
  const started = performance.now()
  const job = {
    id: 'job',
    size: UNITS,
    policy: policySchema.parse({ verify }),
    isSettled: () => false,
    settledCount: 0,
  }
  perform(scheduler.step({ type: 'job.added', job }, now))
  // Each frame comes back whole, in the order it was sent.
  for (let frame = frames.shift(); frame !== undefined; frame = frames.shift()) {
    now += 0.05
    executions += frame.units.length
    const attempts = frame.units.map((unit) => ({ unit, ok: true as const, value: '1', digest: '#1' }))
    perform(scheduler.step({ type: 'results', peer: frame.peer, job: 'job', attempts }, now))
    if (executions % 4_096 < 256) heapMiB = Math.max(heapMiB, process.memoryUsage().heapUsed / 2 ** 20)
    // At the end a peer may wait for what others are expected to do.
    for (let wake = scheduler.nextWake(); frames.length === 0 && accepted < UNITS && wake !== null; ) {
      now = Math.max(now, wake)
      perform(scheduler.step({ type: 'tick' }, now))
      wake = scheduler.nextWake()
    }
  }
  const seconds = (performance.now() - started) / 1_000
  const unitsPerSecond = Math.round(accepted / seconds)
  console.log(JSON.stringify({ peers, verify, accepted, executions, unitsPerSecond, heapMiB: Math.round(heapMiB) }))
}
