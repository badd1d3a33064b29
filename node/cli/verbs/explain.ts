/** `talkoot explain`: why a job, a unit or a peer is where it is. */

import type { Command } from 'commander'
import { API } from '../../../protocol/api.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { jobExplanationSchema, peerExplanationSchema, unitExplanationSchema } from '../../../protocol/explanation.ts'
import type { Act, Context } from '../context.ts'
import { parseCount } from '../quantities.ts'
import { jobExplanationView, peerExplanationView, unitExplanationView } from './explain-view.ts'

export function explain(program: Command, act: Act): void {
  program
    .command('explain <what> [peer]')
    .usage('<job> | <job>/<unit> | peer <peer>')
    .description('why it waits, since when, and whose move it is')
    .action(
      act(async (context, what: string, peer?: string) => {
        if (what === 'peer') await explainPeer(context, peer)
        else if (peer !== undefined) throw new TalkootError('E_USAGE', 'explain JOB, JOB/UNIT or `peer PEER`')
        else if (what.includes('/')) await explainUnit(context, what)
        else await explainJob(context, what)
        return undefined
      }),
    )
}

async function explainJob({ client, output, signal }: Context, id: string): Promise<void> {
  await output.show(await client.request(API.jobExplanation(id), jobExplanationSchema, { signal }), jobExplanationView)
}

async function explainUnit({ client, output, signal }: Context, what: string): Promise<void> {
  const at = what.lastIndexOf('/')
  const path = API.unitExplanation(what.slice(0, at), parseCount(what.slice(at + 1)))
  await output.show(await client.request(path, unitExplanationSchema, { signal }), unitExplanationView)
}

async function explainPeer({ client, output, signal }: Context, peer: string | undefined): Promise<void> {
  if (peer === undefined) throw new TalkootError('E_USAGE', 'which peer: a name, an id or the end of an id')
  const explained = await client.request(API.peerExplanation(peer), peerExplanationSchema, { signal })
  await output.show(explained, peerExplanationView)
}
