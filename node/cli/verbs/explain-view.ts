/** Explanations as a person reads them: what is so, since when, whose move it is, what to do. */

import type {
  JobExplanation,
  PeerExplanation,
  PeerGroup,
  Reasoned,
  UnitExplanation,
} from '../../../protocol/explanation.ts'
import type { Colours } from '../render/colours.ts'
import { bytes, count, duration, plural } from '../render/figures.ts'
import { facts, grid } from '../render/grid.ts'
import { MOVES } from '../render/moves.ts'
import type { View } from '../render/view.ts'
import { findingText } from './job-view.ts'

export const jobExplanationView: View<JobExplanation> = {
  ids: ({ waiting }) => waiting.map(({ reason }) => reason),
  text(job, { colours }) {
    const { units, accepted, failed, running, peers, state } = job
    const left = units - accepted - failed - running
    const pairs: [string, string][] = [
      ['job', job.name === '' ? job.job : `${job.job} (${job.name})`],
      ['state', state],
      [
        'units',
        `${count(accepted + failed)} of ${count(units)} decided, ${count(running)} running, ${count(left)} not`,
      ],
      [
        'peers',
        `${count(peers.working)} of ${count(peers.known)} at work, ${plural(peers.units, 'unit')} in their hands`,
      ],
      ...job.after.map(({ job: id, state, failed }): [string, string] => [
        'after',
        `${id.slice(0, 12)} ${state ?? 'unknown'}${failed > 0 ? `, ${plural(failed, 'unit')} failed` : ''}`,
      ]),
    ]
    if (job.stopped !== null) pairs.push(['stopped', findingText(job.stopped)])
    const waiting = job.waiting.flatMap((entry) => reasonLines(plural(entry.units, 'unit'), entry, colours))
    const excluding = job.clauses.filter(({ excludes }) => excludes > 0)
    return [
      facts(pairs, colours),
      ...(waiting.length === 0 ? [] : ['', ...waiting]),
      ...peerTable(peers.idle, colours),
      ...(excluding.length === 0 || state !== 'running' ? [] : ['', clauseTable(excluding, colours)]),
    ].join('\n')
  },
}

export const unitExplanationView: View<UnitExplanation> = {
  ids: ({ waiting, state }) => [waiting?.reason ?? state],
  text(unit, { colours }) {
    const { state, runningMs, waiting, missing, attempts, checkpoint, outcome } = unit
    const pairs: [string, string][] = [
      ['unit', `${unit.unit} of job ${unit.job.slice(0, 12)}`],
      ['params', JSON.stringify(unit.params)],
      ['state', runningMs === null ? state : `${state} for ${duration(runningMs)}`],
      ...(missing > 0 && state !== 'decided'
        ? [['wanted', plural(missing, 'further copy', 'further copies')] as [string, string]]
        : []),
      ...(checkpoint === null ? [] : [['saved', savedText(checkpoint)] as [string, string]]),
      ...(outcome === null ? [] : [['outcome', outcomeText(outcome)] as [string, string]]),
    ]
    const lines = [facts(pairs, colours)]
    if (waiting !== null) lines.push('', ...reasonLines('waiting', waiting, colours))
    if (attempts.length > 0) {
      const columns = [
        { title: 'PEER', cell: ({ name, peer }: (typeof attempts)[number]) => name || peer },
        { title: 'STANDS', cell: ({ holding }: (typeof attempts)[number]) => HOLDING[holding] },
        { title: 'GIVEN', cell: ({ givenMs }: (typeof attempts)[number]) => `${duration(givenMs)} ago` },
        { title: 'SAID', cell: ({ said }: (typeof attempts)[number]) => saidText(said) },
      ]
      lines.push('', grid(attempts, columns, colours))
    }
    if (state === 'waiting') lines.push(...peerTable(unit.peers.idle, colours))
    return lines.join('\n')
  },
}

const savedText = ({ bytes: size, savedMs }: NonNullable<UnitExplanation['checkpoint']>): string =>
  `${bytes(size)}, ${duration(savedMs)} ago`

export const peerExplanationView: View<PeerExplanation> = {
  ids: ({ idle, state }) => [idle?.reason ?? state],
  text(peer, { colours }) {
    const pairs: [string, string][] = [
      ['peer', `${peer.name} ${peer.peer}${peer.self ? ' (this machine)' : ''}`],
      ['state', peer.units > 0 ? `${peer.state}: ${plural(peer.units, 'unit')} of yours` : peer.state],
    ]
    const lines = [facts(pairs, colours)]
    if (peer.idle !== null) lines.push('', ...reasonLines('idle', peer.idle, colours))
    if (peer.returnsInMs !== null) lines.push(`  back in ${duration(peer.returnsInMs)}, if its owner leaves it so`)
    if (peer.jobs.length > 0) {
      const table = grid(
        peer.jobs,
        [
          { title: 'JOB', cell: ({ job, name }) => name || job.slice(0, 12) },
          { title: 'UNITS', align: 'right', cell: ({ units }) => count(units) },
          { title: 'AGREED', align: 'right', cell: ({ agreed }) => count(agreed) },
          { title: 'OUTVOTED', align: 'right', cell: ({ outvoted }) => count(outvoted) },
          { title: 'IDLE', cell: ({ idle }) => (idle === null ? '' : `${idle.reason} for ${duration(idle.sinceMs)}`) },
          { title: '', cell: ({ code, fails }) => [...(code === null ? [] : [code]), ...fails].join('; ') },
        ],
        colours,
      )
      lines.push('', table)
    }
    return [...lines, ...peer.notes.map((note) => `${colours.yellow('!')} ${note}`)].join('\n')
  },
}

const HOLDING = { running: 'has it', gone: 'lost it', failed: 'failed it', voiced: 'has spoken' } as const

function reasonLines(who: string, { reason, says, mover, hint, sinceMs }: Reasoned, colours: Colours): string[] {
  return [
    `${colours.yellow('…')} ${who} · ${colours.bold(reason)} for ${duration(sinceMs)}: ${says}`,
    `  ${MOVES[mover]} → ${hint}`,
  ]
}

const FILES = {
  title: 'FILES',
  cell: ({ fetched }: PeerGroup) => (fetched === null ? '' : `${bytes(fetched.bytes)} of ${bytes(fetched.of)}`),
}

function peerTable(groups: readonly PeerGroup[], colours: Colours): string[] {
  if (groups.length === 0) return []
  const table = grid(
    groups,
    [
      { title: 'PEERS', align: 'right', cell: ({ peers }) => count(peers) },
      { title: 'IDLE', cell: ({ reason }) => reason },
      { title: 'FOR', align: 'right', cell: ({ sinceMs }) => duration(sinceMs) },
      {
        title: 'BACK IN',
        align: 'right',
        cell: ({ returnsInMs }) => (returnsInMs === null ? '' : duration(returnsInMs)),
      },
      ...(groups.some(({ fetched }) => fetched !== null) ? [FILES] : []),
      { title: 'CODES', cell: ({ codes }) => codes.join(' ') },
      { title: 'WHO', cell: ({ names, peers }) => `${names.join(', ')}${peers > names.length ? ', …' : ''}` },
    ],
    colours,
  )
  return ['', table]
}

function clauseTable(clauses: JobExplanation['clauses'], colours: Colours): string {
  return grid(
    clauses,
    [
      { title: 'CLAUSE', cell: ({ clause }) => clause },
      { title: 'EXCLUDES', align: 'right', cell: ({ excludes }) => count(excludes) },
      { title: 'LEFT', align: 'right', cell: ({ remaining }) => count(remaining) },
    ],
    colours,
  )
}

function saidText(said: UnitExplanation['attempts'][number]['said']): string {
  if (said === null) return ''
  return said.ok ? said.digest : `${said.code} (${said.blame}) ${said.message}`
}

function outcomeText(outcome: NonNullable<UnitExplanation['outcome']>): string {
  const voices = `${plural(outcome.peers.length, 'peer')}, ${plural(outcome.attempts, 'attempt')}`
  if (outcome.status === 'accepted') return `accepted: ${JSON.stringify(outcome.value)} (${voices})`
  return `failed: ${outcome.error.code} ${outcome.error.message}, blame ${outcome.blame} (${voices})`
}
