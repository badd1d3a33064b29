/** Explanations as a node with a busy, a resting and a paused peer would give them. */

import type { JobInfo } from '../../protocol/api.ts'
import type { PeerInfo } from '../../protocol/api-peers.ts'
import {
  type JobExplanation,
  type PeerExplanation,
  reasoned,
  type UnitExplanation,
} from '../../protocol/explanation.ts'
import { REASONS } from '../../protocol/reasons.ts'
import { JOB_ID } from './fake-services.ts'

const peers: JobExplanation['peers'] = {
  known: 5,
  working: 1,
  units: 4,
  idle: [
    {
      reason: 'backoff',
      says: REASONS.backoff.says,
      peers: 1,
      sinceMs: 2_000,
      returnsInMs: 4_000,
      fetched: null,
      codes: ['E_UNIT_CRASHED'],
      names: ['calm-heron'],
    },
    {
      reason: 'no-match',
      says: REASONS['no-match'].says,
      peers: 3,
      sinceMs: 61_000,
      returnsInMs: null,
      fetched: null,
      codes: [],
      names: ['a', 'b'],
    },
  ],
}

export const explainedJob = ({ id, name, state, units, accepted, failed, running }: JobInfo): JobExplanation => ({
  schema: 'talkoot.explain.job/1',
  job: id,
  name,
  state,
  units,
  accepted,
  failed,
  running,
  waiting: [{ ...reasoned('busy', 12_000), units: 4 }],
  peers,
  clauses: [
    { clause: 'offers cores', excludes: 0, remaining: 5 },
    { clause: 'peer.cpus >= 8', excludes: 3, remaining: 2 },
  ],
  after: [{ job: id, name: 'before', state: 'done', failed: 2 }],
  stopped: null,
})

export const explainedUnit = ({ id }: JobInfo, unit: number): UnitExplanation => ({
  schema: 'talkoot.explain.unit/1',
  job: id,
  unit,
  params: { n: unit },
  state: 'waiting',
  runningMs: null,
  waiting: reasoned('quorum-short', 12_000),
  missing: 1,
  attempts: [
    { peer: '12D3a', name: 'calm-heron', holding: 'voiced', givenMs: 5_000, said: { ok: true, digest: 'abc' } },
    {
      peer: '12D3b',
      name: '',
      holding: 'failed',
      givenMs: 9_000,
      said: { ok: false, code: 'E_UNIT_CRASHED', message: 'ended', blame: 'machine' },
    },
  ],
  checkpoint: { peer: '12D3a', bytes: 2_048, savedMs: 3_000 },
  outcome: null,
  peers,
})

export const explainedPeer = ({ id, name, self }: PeerInfo): PeerExplanation => ({
  schema: 'talkoot.explain.peer/1',
  peer: id,
  name,
  self,
  state: 'idle',
  units: 0,
  idle: reasoned('paused', 60_000),
  returnsInMs: 1_800_000,
  jobs: [
    {
      job: JOB_ID,
      name: 'squares',
      units: 0,
      idle: reasoned('paused', 60_000),
      code: null,
      restsForMs: null,
      agreed: 10,
      outvoted: 1,
      fails: ['peer.cpus >= 8'],
    },
  ],
  notes: ['returned wrong results: outvoted on 1 of 11 units'],
})
