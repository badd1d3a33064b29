/** `talkoot plan`: what would become of a run, before it is run. */

import type { Command } from 'commander'
import { TalkootError } from '../../../protocol/errors.ts'
import type { Plan } from '../../../protocol/plan.ts'
import { isTemplate } from '../../../sdk/inputs.ts'
import { slice } from '../../../sdk/sweep.ts'
import type { Act, Context } from '../context.ts'
import { type PolicyFlags, parsePolicy } from '../policy-flags.ts'
import { parseCount, parseDuration } from '../quantities.ts'
import type { Colours } from '../render/colours.ts'
import { count, duration, plural } from '../render/figures.ts'
import { facts, grid } from '../render/grid.ts'
import { showingInputs } from '../render/inputs-progress.ts'
import { MOVES } from '../render/moves.ts'
import type { View } from '../render/view.ts'
import { parseSweep, type SweepFlags } from '../sweep-flags.ts'
import { parseTask, type TaskFlags } from '../task-argument.ts'
import { sweepCommand } from '../task-options.ts'

type Options = SweepFlags & PolicyFlags & TaskFlags & { unitTime?: string; trial?: string }

export function plan(program: Command, act: Act): void {
  sweepCommand(program, 'plan')
    .description('who could run it, what keeps others out, how long it may take; runs nothing but a --trial')
    .option('--unit-time <duration>', 'what one unit takes on a machine of speed 1')
    .option('--trial <n>', 'run the first n units once, to see what they take')
    .action(act((context, words: string[], options: Options) => planRun(context, words, options)))
}

async function planRun(context: Context, words: string[], options: Options): Promise<undefined> {
  const { mesh, output, signal } = context
  const task = await parseTask(context, words, options)
  const sweep = parseSweep(options, context.io.cwd, { once: typeof task !== 'string' })
  const policy = parsePolicy(options)
  // The first units would bring other files than the job does, and so be another task.
  if (options.trial !== undefined && (options.in ?? []).some(isTemplate)) {
    throw new TalkootError('E_USAGE', '--trial does not go with a file for each point: give --unit-time')
  }
  if (options.trial !== undefined) await tryOut(context, task, slice(sweep, 0, parseCount(options.trial)), policy)
  const unitMs = options.unitTime === undefined ? {} : { unitMs: parseDuration(options.unitTime) }
  const plan = await showingInputs(context, (onInputs) =>
    mesh.plan(task, sweep, { ...policy, ...unitMs, onInputs, signal }),
  )
  await output.show(plan, planView)
}

/** The time of its units is remembered as that of every job is. */
async function tryOut(
  context: Context,
  task: Awaited<ReturnType<typeof parseTask>>,
  sweep: Parameters<Context['mesh']['map']>[1],
  policy: ReturnType<typeof parsePolicy>,
): Promise<void> {
  const { mesh, output, signal } = context
  await using job = await showingInputs(context, (onInputs) =>
    mesh.map(task, sweep, { ...policy, name: 'trial', verify: 'none', onInputs, signal }),
  )
  let failed = 0
  for await (const { status } of job) failed += status === 'failed' ? 1 : 0
  const { units } = await job.progress()
  await output.note(
    `trial ${job.id.slice(0, 8)} · ${plural(units, 'unit')} run${failed > 0 ? `, ${count(failed)} failed` : ''}`,
  )
}

type Confidence = NonNullable<Plan['confidence']>

const planView: View<Plan> = {
  ids: ({ finish }) => (finish === null ? [] : [String(Math.round(finish.likelyMs))]),
  text(plan, { colours }) {
    const { units, peers, executions, unitTime, finish, blocked, assumes } = plan
    const paused = peers.paused > 0 ? `, ${count(peers.paused)} of them paused` : ''
    const pairs: [string, string][] = [
      ['units', count(units)],
      ['peers', `${count(peers.matching)} of ${count(peers.known)} match${paused}`],
      ['slots', `${count(peers.slots)}, ${count(peers.freeSlots)} free now`],
      ['executions', `about ${count(executions.likely)}, at most ${count(executions.most)}`],
      ['unit time', unitTime === null ? 'not known' : `${duration(unitTime.ms)} at speed 1 (${unitTime.from})`],
      [
        'finish',
        finish === null
          ? 'not known'
          : `about ${duration(finish.likelyMs)}: ${duration(finish.lowMs)} to ${duration(finish.highMs)}`,
      ],
    ]
    if (plan.confidence !== null) pairs.splice(4, 0, ['confidence', confidenceText(plan.confidence)])
    const lines = [facts(pairs, colours)]
    if (plan.confidence !== null) lines.push('', costs(plan.confidence, colours))
    if (blocked !== null) {
      const { reason, says, mover, hint } = blocked
      lines.push('', `${colours.yellow('!')} ${colours.bold(reason)}: ${says}`, `  ${MOVES[mover]} → ${hint}`)
    }
    if (plan.clauses.some(({ excludes }) => excludes > 0)) lines.push('', clauses(plan, colours))
    lines.push(...plan.relaxations.map(relaxationText))
    return [...lines, '', ...assumes.map((text) => colours.dim(`assumes ${text}`))].join('\n')
  },
}

function confidenceText({ goal, copies }: Confidence): string {
  return `${goal} for each value: ${plural(copies, 'copy', 'copies')} of a unit at first, fewer as peers get known`
}

function costs({ costs, limits }: Confidence, colours: Colours): string {
  const table = grid(
    costs,
    [
      { title: 'IF', cell: ({ assumption }) => assumption },
      { title: 'EXECUTIONS', align: 'right', cell: ({ executions }) => count(executions) },
    ],
    colours,
  )
  return [table, ...limits.map((text) => colours.dim(`confidence: ${text}`))].join('\n')
}

function clauses({ clauses }: Plan, colours: Colours): string {
  return grid(
    clauses.filter(({ excludes }) => excludes > 0),
    [
      { title: 'CLAUSE', cell: ({ clause }) => clause },
      { title: 'EXCLUDES', align: 'right', cell: ({ excludes }) => count(excludes) },
      { title: 'LEFT', align: 'right', cell: ({ remaining }) => count(remaining) },
    ],
    colours,
  )
}

function relaxationText({ changes, gains }: Plan['relaxations'][number]): string {
  const changed = changes.map(({ clause, to }) => (to === null ? `without ${clause}` : `with ${to}`)).join(' and ')
  return `→ ${changed}: ${plural(gains, 'more peer qualifies', 'more peers qualify')}`
}
