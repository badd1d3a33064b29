/** Bugs put in on purpose. The simulator must find every one of them. */

import { Checkpoints } from '../../node/jobs/checkpoints.ts'
import type { SchedulerEvent } from '../../node/jobs/scheduler/events.ts'
import { lease } from '../../node/jobs/scheduler/lease.ts'
import { verificationOf as createVerification } from '../../node/jobs/verification/by-policy.ts'
import { policySchema } from '../../protocol/manifest.ts'
import type { Scenario } from './scenario.ts'
import type { Plant } from './simulation.ts'

export type Planted = { bug: string; found: RegExp; plant: () => Plant }

/** For units that save their state. */
const adapt = (drawn: Scenario): Scenario => ({ ...drawn, saves: true })

export const PLANTS: Planted[] = [
  {
    bug: 'the lease check is dropped',
    found: /silent \d/,
    plant: () => ({ components: { lease: { ...lease, lapsed: () => false } } }),
  },
  {
    bug: 'leases lapse while signs of life come',
    found: /dropped after/,
    plant: () => ({ components: { lease: { leaseMs: 300, lapsed: (silentMs) => silentMs >= 300 } } }),
  },
  {
    bug: 'the first result is accepted',
    found: /accepted (on the word of|with a wrong value)/,
    plant: () => ({
      components: {
        verification: (policy) => {
          const real = createVerification(policy)
          const first = createVerification({ ...policy, verify: { kind: 'none' } })
          return { ...real, judge: first.judge }
        },
      },
    }),
  },
  {
    bug: 'one peer alone can fail a unit',
    found: /failed with E_TASK_THREW/,
    plant: () => ({
      components: {
        verification: (policy) => {
          const real = createVerification(policy)
          return {
            ...real,
            judge: (voices, answers, others) => {
              const said = voices.find((voice) => !voice.said.ok)?.said
              if (said === undefined || said.ok) return real.judge(voices, answers, others)
              return { kind: 'failed', failure: said, agreed: [], against: [] }
            },
          }
        },
      },
    }),
  },
  {
    bug: 'numbers that are far apart agree',
    found: /accepted (on the word of|with a wrong value)/,
    plant: () => ({
      components: {
        verification: (policy) =>
          createVerification({ ...policy, agree: { kind: 'tolerance', absolute: 500, relative: 1 } }),
      },
    }),
  },
  {
    bug: 'results are taken for those of the peer that spoke before',
    found: /never said|holds|accepted on the word of/,
    plant: () => {
      let before: string | null = null
      return {
        event: (event: SchedulerEvent) => {
          if (event.type !== 'results') return event
          const peer = before ?? event.peer
          before = event.peer
          return { ...event, peer }
        },
      }
    },
  },
  {
    bug: 'units handed back are lost',
    found: /the scheduler counts|never decided/,
    plant: () => ({ event: (event: SchedulerEvent) => (event.type === 'handback' ? null : event) }),
  },
  {
    bug: 'the end of a session is not noticed',
    found: /which has no session|the scheduler counts/,
    plant: () => ({ event: (event: SchedulerEvent) => (event.type === 'peer.down' ? null : event) }),
  },
  {
    bug: 'the ledger forgets over a restart',
    found: /although it is decided|decided twice|miscounts/,
    plant: () => ({ forgets: (unit: number) => unit % 10 === 0 }),
  },
  {
    bug: 'peers that satisfy the job are said not to',
    found: /is explained as|never decided/,
    plant: () => ({ components: { match: () => ({ misfit: () => 'no-match', rank: () => null, alike: () => '' }) } }),
  },
  {
    bug: 'a hold is not heard of',
    found: /of a job that is held|is explained as/,
    plant: () => ({ event: (event: SchedulerEvent) => (event.type === 'job.gate' ? null : event) }),
  },
  {
    bug: 'the requirement is ignored',
    found: /does not satisfy require/,
    plant: () => ({ components: { match: () => ({ misfit: () => null, rank: () => null, alike: () => '' }) } }),
  },
  {
    bug: 'states of units that a peer does not have are kept',
    found: /goes on at peer-\d+ from /,
    plant: () => ({
      adapt,
      checkpoints: (components) => new Checkpoints({ ...components, scheduler: { isHeld: () => true } }),
    }),
  },
  {
    bug: 'what an attempt saved that has failed is gone on from',
    found: /from a state that is not its last/,
    plant: () => ({
      adapt,
      checkpoints: (components) =>
        new (class extends Checkpoints {
          override ended(): void {
            return
          }
        })(components),
    }),
  },
  {
    bug: 'results that are checked rest on what another peer saved',
    found: /from what peer-\d+.* saved|from nothing of what it saved/,
    plant: () => ({
      adapt,
      checkpoints: (components) =>
        new Checkpoints({ ...components, policyOf: () => policySchema.parse({ verify: { kind: 'none' } }) }),
    }),
  },
]
