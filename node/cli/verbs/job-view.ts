/** Jobs as a person reads them. */

import type { JobSummary, Jobs } from '../../../protocol/api.ts'
import type { Finding } from '../../../protocol/finding.ts'
import type { Verify } from '../../../protocol/manifest.ts'
import type { Colours } from '../render/colours.ts'
import { count, duration, plural, shortIds } from '../render/figures.ts'
import { facts, grid } from '../render/grid.ts'
import { waitText } from '../render/progress.ts'
import type { View } from '../render/view.ts'

export const jobsView: View<Jobs> = {
  ids: ({ jobs }) => jobs.map(({ id }) => id),
  items: ({ jobs }) => jobs,
  text({ jobs }, { wide, colours }) {
    if (jobs.length === 0) return 'no jobs: begin with `talkoot run FILE --param name=values`'
    const short = shortIds(jobs.map(({ id }) => id))
    return grid(
      jobs,
      [
        { title: 'JOB', cell: ({ id }) => (wide ? id : short(id)) },
        { title: 'NAME', cell: ({ name }) => name },
        { title: 'STATE', cell: (job) => stateText(job, colours) },
        { title: 'DONE/UNITS', align: 'right', cell: ({ accepted, units }) => `${count(accepted)}/${count(units)}` },
        { title: 'FAILED', align: 'right', cell: ({ failed }) => count(failed) },
        { title: 'AGE', align: 'right', cell: ({ createdAgoMs }) => duration(createdAgoMs) },
        { title: '', cell: ({ state, waiting }) => (state === 'running' ? waiting.map(waitText).join('; ') : '') },
      ],
      colours,
    )
  },
}

export const jobView: View<JobSummary> = {
  ids: ({ id }) => [id],
  text(job, { wide, colours }) {
    const { verify, agree, require, rank, alike } = job.policy
    const how = verify.kind === 'none' ? '' : `, ${agree.kind}`
    const pairs: [string, string][] = [
      ['job', job.id],
      ...(job.name === '' ? [] : [['name', job.name] as [string, string]]),
      ['state', stateText(job, colours)],
      [
        'units',
        `${count(job.units)}: ${count(job.accepted)} accepted, ${count(job.failed)} failed, ${count(job.running)} running`,
      ],
      ['executions', `${count(job.executions)}, ${wasteOf(job)}${plural(job.disagreements, 'disagreement')}`],
      ['agreement', `${agreementText(verify)}${how}`],
      ...reachedOf(job),
      ...(require === '' ? [] : [['require', require] as [string, string]]),
      ...(rank === '' ? [] : [['rank', rank] as [string, string]]),
      ...(alike === '' ? [] : [['alike', alike] as [string, string]]),
      ...(job.retryOf === null ? [] : [['retries', `what failed in ${job.retryOf}`] as [string, string]]),
      ...job.after.map((id) => ['after', id] as [string, string]),
      ...(job.stopped === null ? [] : [['stopped', findingText(job.stopped)] as [string, string]]),
      ['age', duration(job.createdAgoMs)],
      ...job.waiting.map((wait) => ['waiting', waitText(wait)] as [string, string]),
    ]
    if (wide) pairs.push(['task', job.task.digest], ['policy', JSON.stringify(job.policy)])
    const text = facts(pairs, colours)
    if (job.peers.length === 0) return text
    const peers = grid(
      job.peers,
      [
        { title: 'PEER', cell: ({ peer, name }) => name || peer },
        { title: 'ACCEPTED', align: 'right', cell: ({ accepted }) => count(accepted) },
      ],
      colours,
    )
    return `${text}\n\n${peers}`
  },
}

export function agreementText(verify: Verify): string {
  if (verify.kind === 'none') return 'unverified: the first result is taken'
  if (verify.kind === 'quorum') return `${verify.agree} of at most ${verify.of} agree`
  return `confidence ${verify.goal}${verify.collusion === 1 ? '' : `, collusion ${verify.collusion}`}`
}

export function findingText({ unit, difference, platforms }: Finding): string {
  const who = platforms === null ? '' : ` between ${platforms.join(' and ')}`
  const where = difference === null ? '' : `: ${difference.path} is ${difference.a} or ${difference.b}`
  return `unit ${unit} differs${who}${where}`
}

/** What the values are worth together; each reaches the goal. */
function reachedOf({ expectedWrong, accepted }: JobSummary): [string, string][] {
  if (expectedWrong === null || accepted === 0) return []
  const mean = 1 - expectedWrong / accepted
  const wrong = expectedWrong < 0.01 ? 'less than 0.01' : expectedWrong.toFixed(2)
  return [['reached', `${mean.toFixed(6)} on average: ${wrong} wrong of ${count(accepted)} are to be expected`]]
}

function wasteOf({ executions, wasted }: JobSummary): string {
  if (wasted === 0) return ''
  return `${count(wasted)} not needed (${((100 * wasted) / executions).toFixed(1)}%), `
}

function stateText({ state, failed, heldForMs, stopped }: JobSummary, colours: Colours): string {
  if (stopped !== null) return colours.red('stopped')
  if (heldForMs !== null) return colours.yellow('held')
  if (state === 'running') return colours.cyan(state)
  if (state === 'cancelled') return colours.yellow(state)
  return failed > 0 ? colours.red('done, units failed') : colours.green(state)
}
