/** `talkoot job remove`: jobs that have ended, with all that is kept of them. */

import type { Command } from 'commander'
import { API, type Removed, removedSchema } from '../../../protocol/api.ts'
import type { Act } from '../context.ts'
import { plural } from '../render/figures.ts'
import type { View } from '../render/view.ts'

export function remove(group: Command, act: Act): void {
  group
    .command('remove <job...>')
    .description('forget jobs that have ended: their results, receipts, logs and files')
    .action(
      act(async ({ client, output, signal }, jobs: string[]) => {
        const request = { method: 'POST', body: { jobs }, signal } as const
        await output.show(await client.request(API.removals, removedSchema, request), removedView)
        return undefined
      }),
    )
}

const removedView: View<Removed> = {
  ids: ({ jobs }) => jobs,
  text: ({ jobs }) =>
    `removed ${plural(jobs.length, 'job')}: ${jobs.map((id) => id.slice(0, 8)).join(' ')}\ntheir room on the disk comes back bit by bit`,
}
