/** A job of programs of this machine: bubblewrap's options on disk, the same for each of its units. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeProgram } from '../../../protocol/command/program.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { CHECKPOINT_FILE } from '../program/checkpoint-watch.ts'
import { collectedLine } from '../program/collect.ts'
import type { LayJob, ProgramJob } from '../program/sandbox.ts'
import { runUnitProcess } from '../program/unit-process.ts'
import { existsHere, fileOf } from './installed.ts'
import { bubblewrapOptions, commandLine } from './launch.ts'
import type { PreparedCommand } from './prepare.ts'

/** Beyond those every process has. */
const FIRST_FREE_FD = 3

export const layCommandJob: LayJob<PreparedCommand> = async (prepared, init, files): Promise<ProgramJob> => {
  const { facts, shut, user } = prepared
  const program = decodeProgram(init.source)
  const inputs = program.inputs === null ? null : await files.inputs(program.inputs)
  const brought = await files.brought(program.folders)
  const brings = { inputs: inputs?.folder ?? null, brought }
  const folder = await mkdtemp(join(prepared.folder, 'job-'))
  const options = join(folder, 'options')
  await writeFile(options, bubblewrapOptions(facts, inputs, brought).join('\0'))
  await prepared.open(folder)
  const handed = [options, ...(facts.seccomp === undefined ? [] : [facts.seccomp])]
  return {
    program,
    run: async ({ argv, env, outputs }, io, signal) => {
      const [name = ''] = argv
      if (!existsHere(name, brings)) {
        throw new TalkootError('E_PROGRAM_MISSING', `there is no program ${name} on this machine`)
      }
      const state = await stateFile(folder, io.checkpointing?.resumed)
      const all = [...handed, ...state]
      const resumed = state.flatMap(() => ['--file', String(FIRST_FREE_FD + handed.length), CHECKPOINT_FILE])
      const collecting = { out: FIRST_FREE_FD + all.length, globs: outputs }
      const started = outputs.length === 0 ? argv : collectedLine(argv, collecting)
      const line = commandLine(facts, { argv: started, env, brought, resumed }, init)
      const end = await runUnitProcess({ line, handed: all, shut, user, ...io }, signal)
      return { end, file: fileOf(name, brings) }
    },
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

/** The file that is handed over, if there is something to go on from. */
async function stateFile(folder: string, state: Uint8Array | undefined): Promise<string[]> {
  if (state === undefined) return []
  const path = join(folder, 'state')
  await writeFile(path, state)
  return [path]
}
