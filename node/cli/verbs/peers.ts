/** `talkoot peers` and `talkoot peer`: who is in the mesh, what this machine has seen of them, and what it decided of them. */

import type { Command } from 'commander'
import { API, type PeerInfo, type Peers, peerInfoSchema, peersSchema, type Refusal } from '../../../protocol/api.ts'
import type { Act } from '../context.ts'
import type { Colours } from '../render/colours.ts'
import { bytes, count, duration, shortPeers } from '../render/figures.ts'
import { type Column, facts, grid } from '../render/grid.ts'
import type { View } from '../render/output.ts'
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
  const group = program.command('peer').description('one peer')
  peerRules(group, act)
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

function reach({ self, connected, direction, ad }: PeerInfo): string {
  if (self) return ad?.reach ?? ''
  return connected ? `${direction === 'outbound' ? 'dialled' : 'dialled us'}` : 'not connected'
}

const labels = ({ ad }: PeerInfo): string =>
  Object.entries(ad?.labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')

const ago = (ms: number | null): string => (ms === null ? 'never' : `${duration(ms)} ago`)
