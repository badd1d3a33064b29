/** `talkoot jobs`: the jobs of this machine. */

import type { Command } from 'commander'
import { API, jobsSchema } from '../../../protocol/api.ts'
import type { Act } from '../context.ts'
import { jobsView } from './job-view.ts'

export function jobs(program: Command, act: Act): void {
  program
    .command('jobs')
    .description('the jobs submitted here, newest first')
    .action(
      act(async ({ client, output, signal }) => {
        await output.show(await client.request(API.jobs, jobsSchema, { signal }), jobsView)
      }),
    )
}
