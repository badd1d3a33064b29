/** `talkoot down`: stop the node of this machine. */

import { setTimeout as wait } from 'node:timers/promises'
import type { Command } from 'commander'
import { API, stoppingSchema } from '../../../protocol/api.ts'
import type { Act } from '../context.ts'

const POLL_MS = 50

export function down(program: Command, act: Act): void {
  program
    .command('down')
    .description('stop the node of this machine')
    .action(
      act(async ({ client, output, signal }) => {
        const stopping = await client.request(API.down, stoppingSchema, { method: 'POST', signal })
        await untilGone(stopping.pid, signal)
        await output.show(stopping, {
          text: ({ pid }, { colours }) => `${colours.green('✔')} stopped (process ${pid})`,
          ids: ({ pid }) => [String(pid)],
        })
      }),
    )
}

/** Stopped means that the process has let go of everything, so that `up` works at once. */
async function untilGone(pid: number, signal: AbortSignal): Promise<void> {
  while (isAlive(pid)) await wait(POLL_MS, undefined, { signal })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
