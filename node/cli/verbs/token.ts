/** `talkoot token create|list|revoke`: who may join the mesh. */

import type { Command } from 'commander'
import type { z } from 'zod'
import { API } from '../../../protocol/api.ts'
import {
  type Revoked,
  revokedSchema,
  type TokenCreated,
  type Tokens,
  tokenCreatedSchema,
  tokenRequestSchema,
  tokensSchema,
} from '../../../protocol/api-tokens.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import type { Act, Context } from '../context.ts'
import { parseCount, parseDuration } from '../quantities.ts'
import { duration, plural } from '../render/figures.ts'
import { grid } from '../render/grid.ts'
import type { View } from '../render/view.ts'

export function token(program: Command, act: Act): void {
  const group = program.command('token').description('who may join the mesh: create, list, revoke')
  group
    .command('create')
    .description('a token with which machines join')
    .option('--uses <n>', 'machines it admits', '1')
    .option('--ttl <duration>', 'how long it holds', '24h')
    .option('--role <role>', 'admin: may admit others; member: may submit and work; worker: may only work', 'member')
    .action(
      act(async ({ client, output, signal }, options: { uses: string; ttl: string; role: string }) => {
        const request = { uses: parseCount(options.uses), ttlMs: parseDuration(options.ttl), role: options.role }
        const body = tokenRequestSchema.safeParse(request)
        if (!body.success) throw new TalkootError('E_USAGE', faults(body.error))
        const created = await client.request(API.tokens, tokenCreatedSchema, {
          method: 'POST',
          body: body.data,
          signal,
        })
        await output.show(created, createdView)
        const terms = `${plural(created.uses, 'use')}, ${duration(created.expiresInMs)}, role ${created.role}`
        await output.note(`on the other machine: talkoot up --join TOKEN  (${terms})`)
      }),
    )
  group
    .command('list')
    .description('every token of this mesh that was made here')
    .action(
      act(async ({ client, output, signal }) => {
        await output.show(await client.request(API.tokens, tokensSchema, { signal }), tokensView)
      }),
    )
  group
    .command('revoke <id>')
    .description('admit nobody more with a token')
    .option('--members', 'also remove for good the machines it admitted')
    .option('-y, --yes', 'do not ask')
    .action(act(revoke))
}

const faults = (error: z.ZodError): string =>
  error.issues.map(({ path, message }) => `--${path.join('.')}: ${message}`).join('; ')

async function revoke(context: Context, id: string, options: { members?: boolean; yes?: boolean }): Promise<undefined> {
  const { client, output, signal } = context
  if (options.members && !options.yes) await confirm(context, id)
  const query = { members: String(options.members === true) }
  const revoked = await client.request(API.token(id), revokedSchema, { method: 'DELETE', query, signal })
  await output.show(revoked, revokedView)
}

async function confirm({ client, io, signal }: Context, id: string): Promise<void> {
  const { tokens } = await client.request(API.tokens, tokensSchema, { signal })
  const members = tokens.find((token) => token.id === id)?.members ?? []
  if (members.length === 0) return
  if (io.ask === null) {
    throw new TalkootError('E_USAGE', `this removes ${plural(members.length, 'machine')} for good: say --yes`)
  }
  const answer = await io.ask(`Remove ${plural(members.length, 'machine')} from the mesh for good? [y/N] `)
  if (!/^y(es)?$/i.test(answer.trim())) throw new TalkootError('E_USAGE', 'nothing was removed')
}

const createdView: View<TokenCreated> = {
  ids: ({ token }) => [token],
  text: ({ token }) => token,
}

const tokensView: View<Tokens> = {
  ids: ({ tokens }) => tokens.map(({ id }) => id),
  items: ({ tokens }) => tokens,
  text: ({ tokens }, { colours }) =>
    tokens.length === 0
      ? 'no tokens: make one with `talkoot token create`'
      : grid(
          tokens,
          [
            { title: 'TOKEN', cell: ({ id }) => id },
            { title: 'STATE', cell: ({ state }) => (state === 'live' ? colours.green(state) : colours.dim(state)) },
            { title: 'ROLE', cell: ({ role }) => role },
            { title: 'LEFT/USES', align: 'right', cell: ({ uses, usesLeft }) => `${usesLeft}/${uses}` },
            { title: 'HOLDS', cell: ({ state, expiresInMs }) => (state === 'live' ? duration(expiresInMs) : '') },
            { title: 'ADMITTED', align: 'right', cell: ({ members }) => String(members.length) },
          ],
          colours,
        ),
}

const revokedView: View<Revoked> = {
  ids: ({ id }) => [id],
  text: ({ id, members }, { colours }) =>
    `${colours.green('✔')} token ${id} admits nobody more` +
    (members.length === 0 ? '' : `; ${plural(members.length, 'machine')} removed`),
}
