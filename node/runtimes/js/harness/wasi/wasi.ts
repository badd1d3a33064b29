/** A WASI program as the task: started anew for every unit, with files in memory and nothing else of any machine. */

import { ConsoleStdout, type Fd, File, Inode, OpenFile, WASI } from '@bjorn3/browser_wasi_shim'
import type { Json } from '../../../../../protocol/canonical.ts'
import { globOf } from '../../../../../protocol/command/output-glob.ts'
import { fill, written } from '../../../../../protocol/command/template.ts'
import { LIMITS } from '../../../../../protocol/limits.ts'
import { readModule } from '../../../../../protocol/wasm/binary.ts'
import { bytesOfBase64 } from '../../../../../protocol/wasm/bytes.ts'
import { checkProgram, WASI_IMPORTS } from '../../../../../protocol/wasm/convention.ts'
import type { WasiProgram } from '../../../../../protocol/wasm/wasi-program.ts'
import { CHECKPOINT_FILE, TMP_FOLDER } from '../../../program/surroundings.ts'
import type { Context } from '../call.ts'
import { Failure } from '../failure.ts'
import type { GivenFile } from '../given.ts'
import { compileModule, withInstance } from '../instance.ts'
import { archiveOf } from '../outputs/archive.ts'
import { Left } from '../outputs/left.ts'
import { resumedBytes, saveBytes } from '../saved-bytes.ts'
import { compiledOnce, type Task } from '../task.ts'
import { ownCalls, Written } from './calls.ts'
import { Disk } from './disk.ts'

type Compiled = { program: WasiProgram; module: object; given: readonly GivenFile[]; memoryMiB: number }
type Point = Readonly<Record<string, Json>>

/** Returns what makes a fresh copy of the task. Each call throws what is wrong with the source. */
export function compileWasi(source: string, memoryMiB: number, given: readonly GivenFile[]): () => Task {
  const compiled = compiledOnce((): Compiled => {
    const program: WasiProgram = JSON.parse(source)
    const bytes = bytesOfBase64(program.base64)
    checkProgram(readModule(bytes))
    return { program, module: compileModule(bytes), given, memoryMiB }
  })
  return () => {
    const ready = compiled()
    return { agree: undefined, run: (point, context) => runUnit(ready, point as Point, context as Context) }
  }
}

const NAME = 'program'
const ENV = { HOME: '/', LANG: 'C.UTF-8', PWD: '/', TALKOOT_CHECKPOINT: CHECKPOINT_FILE, TMPDIR: TMP_FOLDER, TZ: 'UTC' }

function runUnit({ program, module, memoryMiB, ...job }: Compiled, point: Point, context: Context): unknown {
  const given = [...job.given, ...(context.given ?? [])]
  const { args, env, stdin, outputs } = filled(program, context.unit, point)
  // Numbers of inodes would tell how many units ran before.
  Reflect.set(Inode, 'next_ino', 1n)
  const disk = new Disk(given, {
    resumed: resumedBytes(context),
    onSaved: (state) => saveBytes(context, state),
  })
  const stdout = new Written({ failsBeyond: LIMITS.UNIT_RESULT_MAX_BYTES })
  const stderr = new Written({ keepsLast: LIMITS.UNIT_LOG_MAX_CHARS })
  const errors = (): string => new TextDecoder().decode(stderr.bytes()).trimEnd()
  const descriptors: Fd[] = [
    new OpenFile(new File(new TextEncoder().encode(stdin).buffer, { readonly: true })),
    new ConsoleStdout(stdout.add),
    new ConsoleStdout(stderr.add),
    disk.root,
  ]
  const shim = new WASI(args, env, descriptors, { debug: false })
  const told = (): string => withErrors('', errors())
  try {
    const code = withInstance(
      module,
      (memory) => ({
        [WASI_IMPORTS]: { ...shim.wasiImport, ...ownCalls({ args, random: context.random, memory }) },
      }),
      { memoryMiB, told },
      (instance) => shim.start(instance as Parameters<WASI['start']>[0]),
    )
    if (code !== 0) throw new Failure('E_EXIT', withErrors(`exit code ${code}`, errors()))
  } finally {
    if (errors() !== '') context.log(errors())
  }
  const value = { stdout: textOf(stdout.bytes()).replace(/\r?\n$/, '') }
  if (outputs.length === 0) return value
  return new Left(value, archiveOf(disk.written, outputs, new Set(given.map(({ path }) => path))))
}

/** The last errors are what tells. */
function withErrors(how: string, errors: string): string {
  const room = LIMITS.UNIT_ERROR_MAX_CHARS - how.length - 1
  return `${how}\n${errors.slice(-room)}`.trimEnd()
}

type Filled = { args: string[]; env: string[]; stdin: string; outputs: string[] }

function filled(program: WasiProgram, unit: number, point: Point): Filled {
  const put = (template: string): string => {
    const text = fill(template, unit, point)
    if (text === undefined) throw new Failure('E_INPUT', `"${template}" names a parameter the unit does not have`)
    return text
  }
  const plain = (template: string): string => {
    const text = put(template)
    if (text.includes('\0')) throw new Failure('E_INPUT', 'a parameter has a null character')
    return text
  }
  const named = Object.entries(point).flatMap(([name, value]) => {
    const text = written(value)
    const fits = /^\w+$/.test(name) && !text.includes('\0') && text.length <= LIMITS.COMMAND_ARGUMENT_MAX_CHARS
    return fits ? [[`TALKOOT_PARAM_${name}`, text]] : []
  })
  const own = Object.entries(program.env).map(([name, template]) => [name, plain(template)])
  const env = { ...ENV, ...Object.fromEntries(named), TALKOOT_UNIT: String(unit), ...Object.fromEntries(own) }
  return {
    args: [NAME, ...program.args.map(plain)],
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    stdin: program.stdin === null ? '' : put(program.stdin),
    outputs: program.outputs.map((glob) => globOf(plain(glob))),
  }
}

/** A mark of the order of bytes is a part of the file. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new Failure('E_RESULT_TYPE', 'what it wrote is not UTF-8 text')
  }
}
