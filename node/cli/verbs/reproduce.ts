/** `talkoot job reproduce`: a unit once more, on this machine; what it writes and how it ends are what it wrote and how it ended. */

import type { UnitLogs, UnitProcess } from '../../../protocol/report.ts'
import type { Reproduction } from '../../../protocol/reproduction.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { parseCount } from '../quantities.ts'
import type { View } from '../render/view.ts'

/** Answers with the program's own exit code, where it had one. */
export async function reproduce(context: Context, id: string, unit: string): Promise<number> {
  const { mesh, output, signal } = context
  const job = await mesh.attach(id)
  const again = await job.reproduce(parseCount(unit), { signal })
  // A process that was ended for its time or memory has no exit code of its own.
  const code = again.exit?.code ?? null
  if (output.format === 'table' || output.format === 'wide') await tell(context, again, await differences(job, again))
  else await output.show(again, view)
  return code ?? (again.attempt.ok ? EXIT.ok : EXIT.unitsFailed)
}

async function tell({ io, output }: Context, again: Reproduction, differing: string[]): Promise<void> {
  const { attempt, stdout, stderr } = again
  const code = again.exit?.code ?? null
  await io.stdout.write(again.exit === null && attempt.ok ? `${attempt.value}\n` : stdout)
  await io.stderr.write(stderr)
  if (!attempt.ok && code === null) await output.note(`${attempt.code}: ${attempt.message}`)
  if (again.same === false) await output.note(`not as the mesh decided it: ${decisionOf(again)}`)
  for (const line of differing) await output.note(line)
}

/** In what the attempts of the mesh ran in, where the outcome is another: systems and programs, as far as they were told. */
async function differences(
  job: { logs(unit: number): Promise<UnitLogs> },
  { unit, same, system, process }: Reproduction,
): Promise<string[]> {
  if (same !== false) return []
  const here = placeOf(system, process)
  const { attempts } = await job.logs(unit)
  const others = attempts.map(
    (attempt) => `${attempt.name || attempt.peer}: ${placeOf(attempt.system, attempt.process)}`,
  )
  const elsewhere = [...new Set(others)].filter((line) => !line.endsWith(`: ${here}`))
  return elsewhere.length === 0 ? [] : [`here: ${here}`, ...elsewhere]
}

const placeOf = (system: string, process: UnitProcess | null | undefined): string =>
  process?.program == null ? system : `${system}, ${process.program}`

const decisionOf = ({ decided }: Reproduction): string =>
  decided?.status === 'failed' ? `${decided.error.code} ${decided.error.message}` : JSON.stringify(decided?.value)

const view: View<Reproduction> = {
  ids: ({ attempt }) => [attempt.ok ? 'ok' : attempt.code],
  text: () => '',
}
