/** `talkoot pause` and `talkoot resume`: the owner takes this machine back, and gives it again. */

import type { Command } from 'commander'
import { API, type Status, statusSchema } from '../../../protocol/api.ts'
import type { Act } from '../context.ts'
import { parseDuration } from '../quantities.ts'
import { duration } from '../render/figures.ts'
import type { View } from '../render/view.ts'

export function pause(program: Command, act: Act): void {
  program
    .command('pause [duration]')
    .description('run nothing on this machine until `talkoot resume`, or for a while: 30m, 2h')
    .action(
      act(async ({ client, output, signal }, text?: string) => {
        const body = { forMs: text === undefined ? null : parseDuration(text) }
        await output.show(await client.request(API.pause, statusSchema, { method: 'POST', body, signal }), pauseView)
      }),
    )
  program
    .command('resume')
    .description('end a pause')
    .action(
      act(async ({ client, output, signal }) => {
        await output.show(await client.request(API.resume, statusSchema, { method: 'POST', signal }), pauseView)
      }),
    )
}

/** How long this machine will stay paused, in words. */
export function pauseText({ paused }: Status): string {
  if (paused === null) return 'no'
  const end = paused.returnsInMs === null ? 'until `talkoot resume`' : `back in ${duration(paused.returnsInMs)}`
  return `for ${duration(paused.forMs)}, ${end}`
}

const pauseView: View<Status> = {
  ids: ({ paused }) => [paused === null ? 'running' : 'paused'],
  text(status, { colours }) {
    if (status.paused === null) return `${colours.green('✔')} this machine works for the mesh`
    const { returnsInMs } = status.paused
    const end = returnsInMs === null ? 'until `talkoot resume`' : `for ${duration(returnsInMs)}`
    return `${colours.yellow('✔')} paused ${end}: nothing runs here, units were handed back`
  },
}
