/** `talkoot status`: this machine at a glance. */

import type { Command } from 'commander'
import { API, type Status, statusSchema } from '../../../protocol/api.ts'
import type { Act } from '../context.ts'
import { bytes, count, duration, plural } from '../render/figures.ts'
import { facts } from '../render/grid.ts'
import type { View } from '../render/view.ts'
import { pauseText } from './pause.ts'

export function status(program: Command, act: Act): void {
  program
    .command('status')
    .description('this machine at a glance')
    .action(
      act(async ({ client, output, signal }) => {
        await output.show(await client.request(API.status, statusSchema, { signal }), statusView)
        return undefined
      }),
    )
}

function diskText({ used, budget, images, unitFiles }: Status['disk']): string {
  const unpacked = images === 0 ? '' : ` (${bytes(images)} unpacked images)`
  return `${bytes(used)} of ${bytes(budget)} for files of jobs${unpacked}, ${bytes(unitFiles)} left by own units`
}

/** Submitters listed by slot time; with `--output wide`, all. */
const SHARES_SHOWN = 5

const statusView: View<Status> = {
  ids: ({ peer }) => [peer],
  text(status, { wide, colours }) {
    const { mesh, offering, disk, working, jobs } = status
    const confinement = { os: 'deno in bubblewrap', runtime: 'deno alone: weaker', none: 'none works' }
    const pairs: [string, string][] = [
      ['name', status.name],
      ['peer', status.peer],
      ['mesh', `${mesh.kind}, fingerprint ${mesh.fingerprint}, ${mesh.role} of it`],
      ['peers', `${count(status.peers)} connected`],
      ['offering', `${plural(offering.slots, 'core')}, ${bytes(offering.memory)}, ${bytes(offering.disk)} disk`],
      ['disk', diskText(disk)],
      ['sandbox', confinement[status.confinement ?? 'none']],
      ...(status.paused === null ? [] : [['paused', pauseText(status)] as [string, string]]),
      ['working', `${count(working.running)} running, ${count(working.queued)} queued, ${count(working.total)} done`],
      ['jobs', `${count(jobs.running)} running, ${count(jobs.done)} done, ${count(jobs.cancelled)} cancelled`],
      ['up', `${duration(status.uptimeMs)}, process ${status.pid}, talkoot ${status.version}`],
    ]
    const { shares } = working
    const used = shares.reduce((sum, { slotMs }) => sum + slotMs, 0)
    for (const [i, { name, peer, weight, slotMs }] of shares.slice(0, wide ? shares.length : SHARES_SHOWN).entries()) {
      const part = used === 0 ? 0 : (100 * slotMs) / used
      pairs.push([
        i === 0 ? 'shares' : '',
        `${name || peer}: ${duration(slotMs)} of slot time, ${part.toFixed(0)}%, weight ${weight.toFixed(2)}`,
      ])
    }
    if (wide) pairs.push(['mesh id', mesh.id], ['listen', status.listen.join(' ')], ['api', status.url])
    return [facts(pairs, colours), ...status.warnings.map((text) => `${colours.yellow('!')} ${text}`)].join('\n')
  },
}
