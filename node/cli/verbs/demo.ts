/** `talkoot demo`: three nodes on this machine find each other and fit an epidemic. */

import { access, constants, mkdir } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import type { Command } from 'commander'
import { type DemoOutcome, runInfluenza } from '../../../examples/influenza/demo.ts'
import { heatMap } from '../../../examples/influenza/heat-map.ts'
import { API, type JobSummary, statusSchema } from '../../../protocol/api.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { Mesh } from '../../../sdk/mesh.ts'
import { onFile } from '../../files/file-error.ts'
import type { Act, Context } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { NAMES, startLocalMesh } from '../local-mesh.ts'
import { count, duration, plural } from '../render/figures.ts'
import { ProgressLine } from '../render/progress.ts'

type Report = Pick<DemoOutcome, 'units' | 'accepted' | 'failed' | 'executions' | 'disagreements' | 'files'> & {
  schema: 'talkoot.demo/1'
  nodes: number
  best: { beta: number; gamma: number; r0: number; sse: number }
  elapsedMs: number
}

export function demo(program: Command, act: Act): void {
  program
    .command('demo')
    .description('three nodes on this machine fit an SIR model to the influenza outbreak of 1978')
    .option('--out <folder>', 'where the table and the picture go', 'out/influenza')
    .action(act(runDemo))
}

async function runDemo(context: Context, options: { out: string }): Promise<number> {
  const { io, output } = context
  const begun = performance.now()
  const outDir = resolve(io.cwd, options.out)
  await makeWritable(outDir)
  const outcome = await fitOnThreeNodes(context, outDir)
  const { best, units, accepted, failed, executions, disagreements, files, surface } = outcome
  const report: Report = {
    schema: 'talkoot.demo/1',
    nodes: NAMES.length,
    units,
    accepted,
    failed,
    executions,
    disagreements,
    best: { beta: best.beta, gamma: best.gamma, r0: best.r0, sse: best.sse },
    elapsedMs: Math.round(performance.now() - begun),
    files,
  }
  const depth = output.colours.isColorSupported ? io.stdout.colours : 1
  await output.show(report, {
    text: (told) => [heatMap(surface, { width: io.stdout.columns, depth }), ...findings(told, io.cwd)].join('\n'),
    ids: (told) => Object.values(told.files),
  })
  if (failed > 0) throw new TalkootError('E_UNITS_FAILED', `${count(failed)} of ${plural(units, 'unit')} failed`)
  return EXIT.ok
}

/** Before anything is started. @throws E_FILE */
const makeWritable = (folder: string): Promise<void> =>
  onFile(folder, async () => {
    await mkdir(folder, { recursive: true })
    await access(folder, constants.W_OK)
  })

/** Whatever happens, no process and no folder of the nodes outlives this. */
async function fitOnThreeNodes({ io, output, signal }: Context, outDir: string): Promise<DemoOutcome> {
  await output.note(`starting ${NAMES.length} nodes: ${NAMES.join(', ')} …`)
  await using local = await startLocalMesh({ env: io.env, signal })
  await output.note('they have found each other; every point runs on two of them, and both must agree')
  const { warnings } = await local.client.request(API.status, statusSchema, { signal })
  for (const warning of warnings) await output.note(`${output.colours.yellow('!')} ${warning}`)
  const line = new ProgressLine(io.stderr, { colours: output.colours })
  const mesh = new Mesh(local.client, async () => undefined)
  try {
    const onProgress = (progress: JobSummary) => {
      if (output.format !== 'quiet') void line.update(progress)
    }
    return await onFile(outDir, () => runInfluenza(mesh, { outDir, signal, onProgress }))
  } finally {
    await line.end()
  }
}

function findings(report: Report, cwd: string): string[] {
  const { best, units, accepted, executions, disagreements, nodes, elapsedMs, files } = report
  return [
    'X is the best fit; the darker, the nearer to the data',
    '',
    `beta ${best.beta.toFixed(3)} per day · gamma ${best.gamma.toFixed(3)} per day · R0 ${best.r0.toFixed(2)} · sum of squared errors ${best.sse.toFixed(0)}`,
    `${count(accepted)} of ${plural(units, 'point')} agreed by two of ${nodes} nodes · ${plural(executions, 'execution')} · ${plural(disagreements, 'disagreement')} · ${duration(elapsedMs)}`,
    ...Object.values(files).map((file) => `  ${relative(cwd, file)}`),
  ]
}
