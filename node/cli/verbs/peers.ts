/** `talkoot peers` and `talkoot peer`: who is in the mesh, what this machine has seen of them, and what it decided of them. */

import type { Command } from 'commander'
import { API } from '../../../protocol/api.ts'
import { type PeerInfo, type Peers, peerInfoSchema, peersSchema, type Refusal } from '../../../protocol/api-peers.ts'
import { evidenceSchema, type PeerEvidence } from '../../../protocol/peer-credit.ts'
import type { Act } from '../context.ts'
import type { Colours } from '../render/colours.ts'
import { bytes, count, duration, plural, shortPeers } from '../render/figures.ts'
import { type Column, facts, grid } from '../render/grid.ts'
import type { View } from '../render/view.ts'
import { peerRules, rulesTable } from './peer-rules.ts'

export function peers(program: Command, act: Act): void {
  program
    .command('peers')
    .description('every peer known, and who was turned away')
    .action(
      act(async ({ client, output, signal }) => {
        await output.show(await client.request(API.peers, peersSchema, { signal }), peersView)
      }),
    )
  const group = program.command('peer').description('one peer: show, block, trust and more')
  peerRules(group, act)
  group
    .command('evidence')
    .description('all that was seen of every peer, connected or not; --json takes it away')
    .action(
      act(async ({ client, output, signal }) => {
        await output.show(await client.request(API.evidence, evidenceSchema, { signal }), evidenceView)
        return undefined
      }),
    )
  group
    .command('show <peer>')
    .description('all that is known about a peer, by name, id or the end of an id')
    .action(
      act(async ({ client, output, signal }, peer: string) => {
        await output.show(await client.request(API.peer(peer), peerInfoSchema, { signal }), peerView)
      }),
    )
}

const peersView: View<Peers> = {
  ids: ({ peers }) => peers.map(({ id }) => id),
  items: ({ peers }) => peers,
  text({ peers, rules, refused }, { wide, colours }) {
    const short = shortPeers(peers.map(({ id }) => id))
    const table = grid(peers, peerColumns(short, colours, wide), colours)
    return [
      table,
      ...(rules.length === 0 ? [] : [`blocked and trusted\n${rulesTable(rules, colours)}`]),
      ...(refused.length === 0 ? [] : [`turned away\n${refusals(refused, colours)}`]),
    ].join('\n\n')
  },
}

function peerColumns(short: (id: string) => string, colours: Colours, wide: boolean): Column<PeerInfo>[] {
  const columns: Column<PeerInfo>[] = [
    { title: 'NAME', cell: ({ name, self }) => (self ? `${name} *` : name) },
    { title: 'PEER', cell: ({ id }) => (wide ? id : `…${short(id)}`) },
    { title: 'ROLE', cell: ({ role }) => role },
    { title: 'FREE/CORES', align: 'right', cell: ({ ad }) => (ad === null ? '?' : `${ad.freeSlots}/${ad.cpus}`) },
    { title: 'MEMORY', align: 'right', cell: ({ ad }) => (ad === null ? '?' : bytes(ad.memory)) },
    { title: 'SPEED', align: 'right', cell: ({ ad }) => ad?.speed.toFixed(2) ?? '?' },
    { title: 'REACH', cell: reach },
    { title: 'AGREED', align: 'right', cell: ({ standing }) => count(standing.agreed) },
    { title: 'OUTVOTED', align: 'right', cell: ({ standing }) => count(standing.outvoted) },
    { title: 'SEEN', cell: ({ self, lastSeenMs }) => (self ? 'this machine' : ago(lastSeenMs)) },
    { title: 'LABELS', wide: true, cell: labels },
    { title: 'ADDRESS', wide: true, cell: ({ address }) => address ?? '' },
    { title: '', cell: ({ liar, notes }) => (liar ? colours.red(notes.join('; ') || 'liar') : notes.join('; ')) },
  ]
  return columns.filter((column) => wide || !column.wide)
}

function refusals(refused: readonly Refusal[], colours: Colours): string {
  return grid(
    refused,
    [
      { title: 'CODE', cell: ({ code }) => code },
      { title: 'TIMES', align: 'right', cell: ({ count }) => String(count) },
      { title: 'LAST', cell: ({ agoMs }) => ago(agoMs) },
      { title: 'FROM', cell: ({ address }) => address },
      { title: 'PEER', cell: ({ peer }) => peer ?? 'unknown' },
    ],
    colours,
  )
}

const peerView: View<PeerInfo> = {
  ids: ({ id }) => [id],
  text(peer, { colours }) {
    const { ad, standing } = peer
    const pairs: [string, string][] = [
      ['name', peer.self ? `${peer.name} (this machine)` : peer.name],
      ['peer', peer.id],
      ['role', `${peer.role}, trusted as ${peer.trust}`],
      ['reach', reach(peer)],
      ['address', peer.address ?? 'none'],
      ['seen', ago(peer.lastSeenMs)],
      [
        'standing',
        `agreed ${count(standing.agreed)}, outvoted ${count(standing.outvoted)}, ` +
          `went silent ${count(standing.lapsed)}, faulty ${count(standing.faulty)}`,
      ],
    ]
    pairs.push(...creditFacts(peer))
    const { share, servedMs } = peer
    if (share !== null) {
      const { slotMs, weight, running, queued } = share
      const now = `${count(running)} running, ${count(queued)} queued`
      pairs.push(['had here', `${duration(slotMs)} of slot time, weight ${weight.toFixed(2)}, ${now}`])
    }
    if (servedMs > 0) pairs.push(['did for us', `${duration(servedMs)} of slot time`])
    if (ad !== null) {
      pairs.push(
        ['offers', `${ad.freeSlots} of ${ad.cpus} cores free, ${bytes(ad.memory)}, ${bytes(ad.disk)} disk`],
        ['speed', ad.speed.toFixed(2)],
        ['system', `${ad.os} ${ad.arch}, talkoot ${ad.version}`],
        [
          'runtimes',
          ad.runtimes.map(({ kind, version, confinement }) => `${kind} ${version} (${confinement})`).join(', '),
        ],
        ['labels', labels(peer)],
      )
    }
    return [facts(pairs, colours), ...peer.notes.map((note) => `${colours.yellow('!')} ${note}`)].join('\n')
  },
}

/** What its word is worth, and what it would take to be believed alone. */
function creditFacts({ self, credit, trust }: PeerInfo): [string, string][] {
  if (self) return []
  const { checks, caught, shown, error, goal, checksMissing, bad, halfLifeMs, admission } = credit
  const survived = `${checks.toFixed(1)} checks survived`
  const standing = caught === 0 ? `${survived}, never caught` : `${survived} since, caught ${caught.toFixed(1)} times`
  const faded =
    shown === null
      ? `nothing shown yet: ${percent(bad)} of such ${trust}s are taken to be bad`
      : `${standing}; ${shown.checks.toFixed(1)} when last seen ${duration(shown.agoMs)} ago, half of it every ${duration(halfLifeMs)}`
  const alone =
    checksMissing === 0
      ? `believed alone at ${goal}`
      : checksMissing === null
        ? `never believed alone at ${goal}`
        : `believed alone at ${goal} after ${plural(checksMissing, 'more check')}`
  return [
    ['credit', faded],
    ['its word', `wrong with a probability of ${percent(error)} at most; ${alone}`],
    ...(admission === 'work' ? [] : [['is given', GIVEN[admission]] as [string, string]]),
  ]
}

const GIVEN = {
  canary: 'units that are settled, to see what it says of them, until it has survived enough',
  rest: 'nothing for a while, because it was caught',
}

const percent = (part: number): string => `${Number((100 * part).toPrecision(2))}%`

const evidenceView: View<PeerEvidence> = {
  ids: ({ peers }) => peers.map(({ peer }) => peer),
  items: ({ peers }) => peers,
  text({ peers }, { colours }) {
    if (peers.length === 0) return 'nothing was seen of any peer yet'
    return grid(
      peers,
      [
        { title: 'PEER', cell: ({ peer }) => peer },
        { title: 'AGREED', align: 'right', cell: ({ agreed }) => count(agreed) },
        { title: 'OUTVOTED', align: 'right', cell: ({ outvoted }) => count(outvoted) },
        { title: 'SILENT', align: 'right', cell: ({ lapsed }) => count(lapsed) },
        { title: 'FAULTY', align: 'right', cell: ({ faulty }) => count(faulty) },
        { title: 'CHECKS', align: 'right', cell: ({ checks }) => checks.toFixed(1) },
        { title: 'CAUGHT', align: 'right', cell: ({ caught }) => caught.toFixed(1) },
        { title: 'LAST', cell: ({ creditedAgoMs }) => ago(creditedAgoMs) },
      ],
      colours,
    )
  },
}

function reach({ self, connected, direction, ad }: PeerInfo): string {
  if (self) return ad?.reach ?? ''
  return connected ? `${direction === 'outbound' ? 'dialled' : 'dialled us'}` : 'not connected'
}

const labels = ({ ad }: PeerInfo): string =>
  Object.entries(ad?.labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')

const ago = (ms: number | null): string => (ms === null ? 'never' : `${duration(ms)} ago`)
