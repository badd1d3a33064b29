/** A job of programs of this machine: a sandbox, and what it is made from on disk. */

import * as processes from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { decodeProgram } from '../../../protocol/command/program.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { collectedLine } from '../program/collect.ts'
import type { Brought, Inputs } from '../program/job-files.ts'
import type { LayJob, ProgramJob } from '../program/sandbox.ts'
import type { Room } from '../program/surroundings.ts'
import { existsHere, fileOf } from './installed.ts'
import { bubblewrapOptions, programLine, shellLine } from './launch.ts'
import type { PreparedCommand } from './prepare.ts'
import { FILES_FD, GIVEN, PIPES } from './unit-script.ts'
import { UnitShell } from './unit-shell.ts'

const execFile = promisify(processes.execFile)

export const layCommandJob: LayJob<PreparedCommand> = async (prepared, init, files): Promise<ProgramJob> => {
  const { facts } = prepared
  const program = decodeProgram(init.source)
  const inputs = await files.inputs(program)
  const brought = await files.brought(program.folders)
  const { folder, shell } = await layShell(prepared, { inputs, brought }, init)
  return {
    program,
    warm: (signal) => shell.start(signal),
    run: async ({ argv, env, outputs, own }, io, signal) => {
      const [name = ''] = argv
      const brings = { inputs: [own?.folder, inputs?.folder].filter((one) => typeof one === 'string'), brought }
      if (!existsHere(name, brings)) {
        throw new TalkootError('E_PROGRAM_MISSING', `there is no program ${name} on this machine`)
      }
      const started = outputs.length === 0 ? argv : collectedLine(argv, { out: FILES_FD, globs: outputs })
      const line = programLine(facts, { argv: started, env }, { room: init, brought })
      return { end: await shell.run(line, io, signal, own), file: fileOf(name, brings) }
    },
    close: async () => {
      await shell.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A sandbox that is not started yet, and the folder it is started from. */
export async function layShell(
  { facts, user, shut, folder: scratch, open }: Omit<PreparedCommand, 'probe' | 'inputs'>,
  files: { inputs: Inputs | null; brought: readonly Brought[] },
  room: Room,
): Promise<{ folder: string; shell: UnitShell }> {
  const folder = await mkdtemp(join(scratch, 'job-'))
  const pipes = join(folder, 'pipes')
  const options = join(folder, 'options')
  await mkdir(pipes, { mode: 0o700 })
  await execFile(facts.mkfifo, ['-m', '666', ...Object.values(PIPES).map((name) => join(pipes, name))])
  for (const name of Object.values(GIVEN)) {
    await writeFile(join(pipes, name), '')
    // Whatever the umask.
    await chmod(join(pipes, name), 0o644)
  }
  await writeFile(options, bubblewrapOptions(facts, { pipes, ...files }).join('\0'))
  await Promise.all([open(folder), open(pipes)])
  const handed = [options, ...(facts.seccomp === undefined ? [] : [facts.seccomp])]
  const { inputs } = files
  return { folder, shell: new UnitShell({ line: shellLine(facts, room), handed, shut, user, pipes, inputs }) }
}
