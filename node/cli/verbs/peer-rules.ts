/** `talkoot peer block|unblock|trust|untrust`: what the user of this machine decides of peers. */

import type { Command } from 'commander'
import { API } from '../../../protocol/api.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { type PeerRule, type PeerRules, type PeerVerdict, peerRulesSchema } from '../../../protocol/peer-rules.ts'
import type { Request } from '../../../sdk/client.ts'
import type { Act, Context } from '../context.ts'
import type { Colours } from '../render/colours.ts'
import { duration } from '../render/figures.ts'
import { grid } from '../render/grid.ts'
import type { View } from '../render/view.ts'

type Options = { operator?: string; reason?: string }

export function peerRules(group: Command, act: Act): void {
  const set = (verdict: PeerVerdict) =>
    act((context, peer: string | undefined, options: Options) => put(context, peer, options, verdict))
  const clear = (verdict: PeerVerdict) =>
    act((context, peer: string | undefined, options: Options) => lift(context, peer, options, verdict))
  const command = (name: string, description: string) =>
    group
      .command(`${name} [peer]`)
      .description(description)
      .option('--operator <name>', 'all peers that name this operator, instead of one')
  command('block', 'give it no work and take none from it; what it has goes to others')
    .option('--reason <text>', 'why, for whoever looks later')
    .action(set('blocked'))
  command('unblock', 'work with it again').action(clear('blocked'))
  command('trust', 'believe a stranger as far as a member; what it may do here stays the same')
    .option('--reason <text>', 'why, for whoever looks later')
    .action(set('trusted'))
  command('untrust', 'believe it as what it is again').action(clear('trusted'))
}

async function put(
  context: Context,
  peer: string | undefined,
  options: Options,
  verdict: PeerVerdict,
): Promise<undefined> {
  const body = { verdict, ...(options.reason === undefined ? {} : { reason: options.reason }) }
  await change(context, pathOf(peer, options), { method: 'PUT', body })
}

async function lift(
  context: Context,
  peer: string | undefined,
  options: Options,
  verdict: PeerVerdict,
): Promise<undefined> {
  await change(context, pathOf(peer, options), { method: 'DELETE', query: { verdict } })
}

async function change({ client, output, signal }: Context, path: string, request: Request): Promise<void> {
  await output.show(await client.request(path, peerRulesSchema, { ...request, signal }), rulesView)
}

function pathOf(peer: string | undefined, { operator }: Options): string {
  if ((peer === undefined) === (operator === undefined)) {
    throw new TalkootError('E_USAGE', 'which peer: a name, an id or the end of an id; or --operator NAME')
  }
  return operator === undefined ? API.peerRule(peer ?? '') : API.operatorRule(operator)
}

const rulesView: View<PeerRules> = {
  ids: ({ rules }) => rules.map(({ who }) => who),
  items: ({ rules }) => rules,
  text: ({ rules }, { colours }) =>
    rules.length === 0 ? 'nobody is blocked or trusted here' : rulesTable(rules, colours),
}

export const rulesTable = (rules: readonly PeerRule[], colours: Colours): string =>
  grid(
    rules,
    [
      { title: 'WHO', cell: ({ kind, who }) => (kind === 'operator' ? `operator ${who}` : who) },
      { title: 'IS', cell: ({ verdict }) => (verdict === 'blocked' ? colours.red(verdict) : colours.green(verdict)) },
      { title: 'FOR', align: 'right', cell: ({ forMs }) => duration(forMs) },
      { title: 'WHY', cell: ({ reason }) => reason },
    ],
    colours,
  )
