/** `talkoot version`. */

import type { Command } from 'commander'
import { VERSION } from '../../../protocol/version.ts'
import type { Act } from '../context.ts'

export function version(program: Command, act: Act): void {
  program
    .command('version')
    .description('the version of this program')
    .action(
      act(async ({ output }) => {
        const facts = { schema: 'talkoot.version/1', version: VERSION, node: process.versions.node }
        await output.show(facts, {
          text: ({ version, node }) => `talkoot ${version} (Node.js ${node})`,
          ids: ({ version }) => [version],
        })
      }),
    )
}
