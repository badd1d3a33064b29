/** A program as a task: what is started for each point of a sweep. */

import { lstat, readdir, readFile } from 'node:fs/promises'
import { basename, isAbsolute, join, normalize, resolve } from 'node:path'
import { z } from 'zod'
import { digestOf } from '../protocol/canonical.ts'
import { encodeProgram, type ProgramFile, programSchema } from '../protocol/command/program.ts'
import { TalkootError } from '../protocol/errors.ts'
import { LIMITS } from '../protocol/limits.ts'
import type { ProgramTask, TaskBundle } from './bundle.ts'
import { onFile } from './file-error.ts'

export type CommandOptions = {
  /** Files and folders the program needs, read when it is submitted; read-only there, at the path given here. */
  files?: readonly string[]
  /** Further environment variables. */
  env?: Readonly<Record<string, string>>
  /** What it reads from standard input. */
  stdin?: string
  /** What relative paths of files start from. @default the current folder */
  cwd?: string
}

/** What a program gives once it has ended with 0. */
export type CommandValue = { stdout: string }

export class Command implements ProgramTask<unknown, CommandValue> {
  declare readonly types?: (needs: unknown) => CommandValue
  readonly argv: readonly string[]
  readonly options: CommandOptions

  constructor(argv: readonly string[], options: CommandOptions) {
    this.argv = argv
    this.options = options
  }

  async bundle(): Promise<TaskBundle> {
    const { argv, options } = this
    const { files = [], env = {}, stdin = null, cwd = '.' } = options
    const read: ProgramFile[] = []
    for (const file of files) await readInto(read, resolve(cwd, file), placeOf(file))
    const parsed = programSchema.safeParse({ v: 1, argv, env, stdin, files: read })
    if (!parsed.success) throw new TalkootError('E_TASK_INVALID', z.prettifyError(parsed.error))
    const source = new TextEncoder().encode(encodeProgram(parsed.data))
    if (source.length > LIMITS.TASK_MAX_BYTES) throw tooBig()
    return { ref: { runtime: 'command', digest: digestOf(source), bytes: source.length }, source, agreement: 'exact' }
  }
}

/**
 * A program and its arguments, one process for each point of the sweep. `{name}` stands for a parameter, `{unit}` for the index, in
 * arguments, `env` and `stdin`; parameters are also `TALKOOT_PARAM_name`. It runs in a folder of its own, without a network, and
 * fails with E_EXIT unless it ends with 0.
 * @example mesh.map(command(['python3', 'simulate.py', '--x', '{x}'], { files: ['simulate.py'] }), grid({ x: range(100) }))
 */
export const command = (argv: readonly string[], options: CommandOptions = {}): Command => new Command(argv, options)

/** Where a file lies there: as it is named here, or by its name alone if that is outside the folder. */
function placeOf(file: string): string {
  const plain = normalize(file).replace(/\/$/, '')
  return isAbsolute(plain) || plain.startsWith('..') ? basename(plain) : plain
}

/** Nothing is followed out of what was named. */
async function readInto(read: ProgramFile[], file: string, path: string): Promise<void> {
  const facts = await onFile(file, () => lstat(file))
  if (facts.isDirectory()) {
    const names = (await onFile(file, () => readdir(file))).sort()
    for (const name of names) await readInto(read, join(file, name), path === '.' ? name : `${path}/${name}`)
    return
  }
  if (!facts.isFile()) throw new TalkootError('E_FILE', `${file} is neither a file nor a folder`)
  const held = read.reduce((bytes, { base64 }) => bytes + base64.length, 0)
  if (held + facts.size > LIMITS.TASK_MAX_BYTES || read.length >= LIMITS.COMMAND_FILES_MAX) throw tooBig()
  const base64 = (await onFile(file, () => readFile(file))).toString('base64')
  read.push({ path, executable: (facts.mode & 0o100) !== 0, base64 })
}

const tooBig = (): TalkootError =>
  new TalkootError(
    'E_TASK_TOO_BIG',
    `the program and its files are over ${LIMITS.TASK_MAX_BYTES} bytes (as base64), or ${LIMITS.COMMAND_FILES_MAX} files`,
  )
