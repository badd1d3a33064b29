/** `talkoot job logs`: what attempts at a unit wrote, how they ended, and what they took. */

import { API } from '../../../protocol/api.ts'
import { type UnitLogs, type UnitProcess, unitLogsSchema } from '../../../protocol/report.ts'
import type { Context } from '../context.ts'
import { parseCount } from '../quantities.ts'
import type { Colours } from '../render/colours.ts'
import { bytes, duration } from '../render/figures.ts'
import { facts } from '../render/grid.ts'
import type { View } from '../render/view.ts'

type Attempt = UnitLogs['attempts'][number]

export async function logs(
  context: Context,
  id: string,
  unit: string,
  { follow = false }: { follow?: boolean },
): Promise<undefined> {
  const { client, output, signal } = context
  if (follow) return await tell(context, id, parseCount(unit))
  await output.show(await client.request(API.unitLogs(id, parseCount(unit)), unitLogsSchema, { signal }), logsView)
}

/** What it writes goes where it wrote it. */
async function tell({ mesh, io, output, signal }: Context, id: string, unit: number): Promise<undefined> {
  const job = await mesh.attach(id)
  for await (const piece of job.follow(unit, { signal })) {
    if (output.machine) await io.stdout.write(`${JSON.stringify(piece)}\n`)
    else await io[piece.stream].write(piece.text)
  }
}

const logsView: View<UnitLogs> = {
  ids: ({ attempts }) => attempts.map(({ peer, code }) => `${peer} ${code ?? 'ok'}`),
  items: ({ attempts }) => attempts,
  text: ({ unit, job, attempts }, { colours }) =>
    attempts.length === 0
      ? `nothing is kept of unit ${unit} of job ${job.slice(0, 12)}: it has not ended, or left nothing`
      : attempts.map((attempt) => attemptText(attempt, colours)).join('\n\n'),
}

function attemptText(attempt: Attempt, colours: Colours): string {
  const { peer, name, code, exit, runtime, system } = attempt
  const ended = [code ?? 'well', ...(exit === null ? [] : [exitText(exit)])].join(', ')
  const took = tookText(attempt)
  const pairs: [string, string][] = [
    ['peer', name === '' ? peer : `${name} ${peer}`],
    ['ended', ended],
    ...(took === '' ? [] : [['took', took] as [string, string]]),
    ['on', `${runtime}, ${system}`],
  ]
  const { process } = attempt
  if (process !== undefined) pairs.push(...processPairs(process))
  const written = (['stdout', 'stderr'] as const).flatMap((stream) =>
    attempt[stream] === '' ? [] : [colours.bold(stream), attempt[stream].replace(/\n$/, '')],
  )
  return [facts(pairs, colours), ...written].join('\n')
}

function processPairs({ program, host, user, began, ended, readBytes, writtenBytes }: UnitProcess): [string, string][] {
  const moved =
    readBytes === null || writtenBytes === null ? null : `${bytes(readBytes)} read, ${bytes(writtenBytes)} written`
  return [
    ['as', `${user}@${host}${program === null ? '' : `, ${program}`}`],
    ['when', `${began} to ${ended}`],
    ...(moved === null ? [] : [['moved', moved] as [string, string]]),
  ]
}

const exitText = ({ code, signal }: NonNullable<Attempt['exit']>): string =>
  signal === null ? `exit code ${code}` : `${signal}${code === null ? '' : ` (exit code ${code})`}`

function tookText({ wallMs, cpuMs, peakMiB }: Attempt): string {
  return [
    ...(wallMs === null ? [] : [duration(wallMs)]),
    ...(cpuMs === null ? [] : [`${duration(cpuMs)} of CPU`]),
    ...(peakMiB === null ? [] : [`${peakMiB} MiB at most`]),
  ].join(', ')
}
