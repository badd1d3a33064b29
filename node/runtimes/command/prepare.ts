/** Finds out whether programs can be confined on this machine, by running one. */

import { chmod, chown, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TalkootError } from '../../../protocol/errors.ts'
import { inheritedDescriptors } from '../inherited.ts'
import type { PreparedProgram } from '../program/sandbox.ts'
import { ReachableFolders } from '../reachable-folders.ts'
import { makeScratch, type User, unitUser } from '../scratch.ts'
import { seccompFilter } from '../seccomp.ts'
import { findTool } from '../tools.ts'
import { layShell } from './job.ts'
import { type CommandFacts, programLine } from './launch.ts'

/** Its folder holds what the jobs bring. */
export type PreparedCommand = PreparedProgram & {
  facts: CommandFacts
  user: User | undefined
  /** Lets the user units run as look into a folder. */
  open(folder: string): Promise<void>
}

/** Of the way programs are described and started, not of any program. */
const VERSION = '1'
const PROBE_MEMORY_MIB = 64
const PROBE_TIMEOUT_MS = 10_000

/** @throws E_NATIVE_PLATFORM, E_ROOT */
export async function prepareCommand(scratchDir: string, signal: AbortSignal): Promise<PreparedCommand> {
  if (process.platform !== 'linux') throw new TalkootError('E_NATIVE_PLATFORM', `this is ${process.platform}`)
  const bwrap = await toolFor('bwrap', ['--version'], 'bubblewrap')
  const prlimit = await toolFor('prlimit', ['--version'])
  const choom = await toolFor('choom', ['--version'])
  const env = await toolFor('env', [])
  // Not every one of them tells its version.
  const mkfifo = await toolFor('mkfifo', ['--help'])
  const user = unitUser()
  const folder = await makeScratch(scratchDir, user)
  try {
    const facts = { bwrap, prlimit, choom, env, mkfifo, ...(await writeFiles(folder)) }
    const shut = inheritedDescriptors()
    const open = async (path: string): Promise<void> => {
      if (user !== undefined) await chown(path, user.uid, user.gid)
    }
    const uid = await probe({ facts, folder, user, shut, open }, signal)
    const proved = { kind: 'command', version: VERSION, confinement: 'os', deterministic: false, uid } as const
    const inputs = new ReachableFolders({ place: folder, user })
    return { facts, folder, user, shut, probe: proved, open, inputs }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

async function toolFor(name: string, args: string[], product = name): Promise<string> {
  const path = await findTool(name, args)
  if (path === undefined) throw new TalkootError('E_NATIVE_PLATFORM', `${product} is missing`)
  return path
}

async function writeFiles(folder: string): Promise<Pick<CommandFacts, 'seccomp' | 'passwd'>> {
  const passwd = join(folder, 'passwd')
  await writeFile(passwd, 'unit:x:65534:65534:unit:/unit:/bin/sh\n')
  const filter = seccompFilter(process.arch, 'confined')
  const seccomp = filter && join(folder, 'seccomp.bpf')
  if (seccomp !== undefined) await writeFile(seccomp, filter ?? '')
  // Whatever the umask: units may run as another user.
  for (const file of [passwd, ...(seccomp === undefined ? [] : [seccomp])]) await chmod(file, 0o644)
  return { passwd, seccomp }
}

/** The user it ran as, as seen from outside. */
async function probe(prepared: Omit<PreparedCommand, 'probe' | 'inputs'>, signal: AbortSignal): Promise<number> {
  const uid = prepared.user?.uid ?? process.getuid?.() ?? 0
  if (uid === 0) throw new TalkootError('E_ROOT', 'units never run as root')
  const room = { cpus: 1, memoryMiB: PROBE_MEMORY_MIB }
  const { folder, shell } = await layShell(prepared, { inputs: null, brought: [] }, room)
  try {
    const line = programLine(prepared.facts, { argv: ['/bin/sh', '-c', 'echo $(( 6 * 7 ))'], env: {} }, { room })
    const io = { stdin: null, memoryMiB: PROBE_MEMORY_MIB, timeoutMs: PROBE_TIMEOUT_MS }
    const end = await shell.run(line, io, signal)
    if (end.code === 0 && end.stdout.toString() === '42\n') return uid
    throw new TalkootError('E_NATIVE_PLATFORM', `bubblewrap does not work here: ${end.refused ?? end.stderr.trim()}`)
  } finally {
    await shell.close()
    await rm(folder, { recursive: true, force: true })
  }
}
