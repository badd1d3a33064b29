/** One job on one slot: a process for each unit, started with the unit's parameters in their places. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { canonicalJson, type Json } from '../../../protocol/canonical.ts'
import { decodeProgram, type Program } from '../../../protocol/command/program.ts'
import { fill, written } from '../../../protocol/command/template.ts'
import { type TreeRef, topNames } from '../../../protocol/data/tree.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Attempt } from '../../../protocol/work.ts'
import { failed } from '../failed.ts'
import { type SandboxComponents, untilAborted } from '../prepared-runtime.ts'
import type { Reached } from '../reachable-folders.ts'
import type { LaidTree, Sandbox, SandboxInit, UnitFile, UnitInput, UnitReport } from '../runtime.ts'
import { collectedFiles, collectedLine, globOf } from './collect.ts'
import { type Brings, existsHere, fileOf } from './installed.ts'
import {
  type Brought,
  bubblewrapOptions,
  commandLine,
  type Inputs,
  UNIT_HOST,
  UNIT_USER,
  type UnitCommand,
} from './launch.ts'
import type { PreparedCommand } from './prepare.ts'
import { runUnitProcess, type UnitEnd, type UnitProcessInit } from './unit-process.ts'

/** Beyond those every process has. */
const FIRST_FREE_FD = 3

/** What is on disk for the units of the job. */
type Laid = {
  prepared: PreparedCommand
  folder: string
  brings: Brings
  /** What of them lies in the folder of a unit. */
  names: readonly string[]
  options: string
  program: Program
}

export class CommandSandbox implements Sandbox {
  readonly #components: SandboxComponents<PreparedCommand>
  readonly #init: SandboxInit
  readonly #closing = new AbortController()
  #laid: Promise<Laid> | undefined
  readonly #reached: Reached[] = []
  #running: Promise<unknown> = Promise.resolve()

  constructor(components: SandboxComponents<PreparedCommand>, init: SandboxInit) {
    this.#components = components
    this.#init = init
  }

  async warm(signal: AbortSignal): Promise<void> {
    await untilAborted(() => this.#lay(), AbortSignal.any([signal, this.#closing.signal]))
  }

  async *run(units: readonly UnitInput[], signal: AbortSignal): AsyncGenerator<Attempt[]> {
    const either = AbortSignal.any([signal, this.#closing.signal])
    for (const unit of units) {
      if (either.aborted) return
      const running = this.#runUnit(unit, either)
      this.#running = running.catch(() => undefined)
      const attempt = await running
      if (attempt === null) return
      yield [attempt]
    }
  }

  async agree(): Promise<boolean> {
    throw new TalkootError('E_TASK_INVALID', 'a program has no `agree`')
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
    const laid = await this.#laid?.catch(() => undefined)
    if (laid !== undefined) await rm(laid.folder, { recursive: true, force: true })
    await Promise.all(this.#reached.map((reached) => reached.release()))
    this.#components.onClosed(this)
  }

  /** Null when it was aborted. */
  async #runUnit({ unit, params }: UnitInput, signal: AbortSignal): Promise<Attempt | null> {
    try {
      const { prepared, brings, names, options, program } = await this.#lay()
      const { command, stdin, outputs } = unitOf(program, unit, params)
      const [name = ''] = command.argv
      if (!existsHere(name, brings)) {
        throw new TalkootError('E_PROGRAM_MISSING', `there is no program ${name} on this machine`)
      }
      const { facts, shut, user } = prepared
      const { memoryMiB, timeoutMs } = this.#init
      const handed = [options, ...(facts.seccomp === undefined ? [] : [facts.seccomp])]
      const collecting = { out: FIRST_FREE_FD + handed.length, globs: outputs, inputs: names }
      const argv = outputs.length === 0 ? command.argv : collectedLine(command.argv, collecting)
      const line = commandLine(facts, { ...command, argv, brought: brings.brought }, this.#init)
      let files: TreeRef | null = null
      const collect = async (pipe: AsyncIterable<Uint8Array>): Promise<void> => {
        files = await this.#keep(unit, await collectedFiles(pipe), signal)
      }
      const onOutput: UnitProcessInit['onOutput'] = (...written) => this.#init.onOutput?.(unit, ...written)
      const end = await runUnitProcess(
        {
          line,
          handed,
          shut,
          user,
          stdin,
          timeoutMs,
          memoryMiB,
          onOutput,
          collect: outputs.length === 0 ? undefined : collect,
        },
        signal,
      )
      if (end.killed === 'aborted') return null
      this.#init.onReport?.(reportOf(unit, end, fileOf(name, brings)))
      return { unit, ok: true, value: resultOf(end, this.#init, files) }
    } catch (thrown) {
      const { code, message } = TalkootError.from(thrown)
      return failed(unit, code, message)
    }
  }

  /** Null: there is nothing to keep of a program that failed. */
  async #keep(unit: number, files: AsyncIterable<UnitFile> | null, signal: AbortSignal): Promise<TreeRef | null> {
    const { keepFiles } = this.#init
    if (files === null) return null
    if (keepFiles === undefined) throw new TalkootError('E_INTERNAL', 'there is no place for files here')
    return await keepFiles(unit, files, signal)
  }

  #lay(): Promise<Laid> {
    this.#laid ??= this.#layDown()
    return this.#laid
  }

  /** Writes the options its units are started with. */
  async #layDown(): Promise<Laid> {
    const prepared = await this.#components.prepared()
    const program = decodeProgram(this.#init.source)
    const inputs = program.inputs === null ? null : await this.#inputs(prepared, program.inputs)
    const brought: Brought[] = []
    for (const { at, tree } of program.folders) {
      brought.push({ at, folder: await this.#reach(prepared, this.#treeOf(tree)) })
    }
    const folder = await mkdtemp(join(prepared.folder, 'job-'))
    const options = join(folder, 'options')
    await writeFile(options, bubblewrapOptions(prepared.facts, inputs, brought).join('\0'))
    await prepared.open(folder)
    return {
      prepared,
      folder,
      brings: { inputs: inputs?.folder ?? null, brought },
      names: inputs?.names ?? [],
      options,
      program,
    }
  }

  async #inputs(prepared: PreparedCommand, ref: TreeRef): Promise<Inputs> {
    const tree = this.#treeOf(ref)
    const names = topNames(tree.layout.tree)
    if (names.length > LIMITS.COMMAND_INPUTS_MAX) {
      throw new TalkootError('E_SOURCE', `over ${LIMITS.COMMAND_INPUTS_MAX} files and folders in the folder of a unit`)
    }
    return { folder: await this.#reach(prepared, tree), names }
  }

  #treeOf({ digest }: TreeRef): LaidTree {
    const tree = this.#init.trees?.get(digest)
    if (tree === undefined) throw new TalkootError('E_INTERNAL', 'the files of the task are not here')
    return tree
  }

  async #reach({ inputs }: PreparedCommand, tree: LaidTree): Promise<string> {
    const reached = await inputs.reach(tree.folder)
    this.#reached.push(reached)
    return reached.folder
  }
}

type Filled = { command: UnitCommand; stdin: string | null; outputs: string[] }

export function unitOf(program: Program, unit: number, text: string): Filled {
  const point: Json = JSON.parse(text)
  const params = typeof point === 'object' && point !== null && !Array.isArray(point) ? point : {}
  let room: number = LIMITS.COMMAND_LINE_MAX_BYTES
  const filled = (template: string): string => {
    const result = fill(template, unit, params)
    if (result === undefined)
      throw new TalkootError('E_INPUT', `"${template}" names a parameter the unit does not have`)
    if (result.includes('\0')) throw new TalkootError('E_INPUT', 'a parameter has a null character')
    room -= Buffer.byteLength(result)
    if (room < 0) throw new TalkootError('E_INPUT', `its command line is over ${LIMITS.COMMAND_LINE_MAX_BYTES} bytes`)
    return result
  }
  const env = Object.fromEntries(Object.entries(program.env).map(([name, value]) => [name, filled(value)]))
  const argv = program.argv.map(filled)
  if (argv[0]?.includes('=')) throw new TalkootError('E_INPUT', `a program with = in its name: ${argv[0]}`)
  return {
    command: {
      argv,
      env: { ...parametersAsVariables(params), TALKOOT_UNIT: String(unit), ...env },
    },
    stdin: program.stdin === null ? null : filled(program.stdin),
    outputs: program.outputs.map((glob) => globOf(filled(glob))),
  }
}

/** `x` is also `TALKOOT_PARAM_x`, if it can be the name of a variable and its value be one. */
function parametersAsVariables(params: Readonly<Record<string, Json>>): Record<string, string> {
  const named = Object.entries(params).flatMap(([name, value]) => {
    const text = written(value)
    const fits = /^\w+$/.test(name) && !text.includes('\0') && text.length <= LIMITS.COMMAND_ARGUMENT_MAX_CHARS
    return fits ? [[`TALKOOT_PARAM_${name}`, text]] : []
  })
  return Object.fromEntries(named)
}

/** `program`: the file that was started, if it is known. */
export function reportOf(unit: number, end: UnitEnd, program: string | null): UnitReport {
  const { refused, code, signal, stderr, cpuMs, peakMiB } = end
  const exit = refused === undefined ? { code, signal: signal ?? signalOf(code ?? 0) } : null
  const stdout = end.stdout.toString('utf8')
  const wallMs = Math.round(end.wallMs)
  const { began, readBytes, writtenBytes } = end
  const times = { began: began.toISOString(), ended: new Date(began.getTime() + end.wallMs).toISOString() }
  const process = { ...times, readBytes, writtenBytes, host: UNIT_HOST, user: UNIT_USER, program }
  const used = { wallMs, cpuMs, peakMiB: peakMiB && Math.round(peakMiB) }
  return { unit, exit, stdout, stderr, ...used, process }
}

/** @throws the failure it is, coded */
export function resultOf(end: UnitEnd, { timeoutMs, memoryMiB }: SandboxInit, files: TreeRef | null): string {
  if (end.refused !== undefined) throw new TalkootError('E_RUNTIME_MISSING', end.refused)
  if (end.killed === 'timeout') throw new TalkootError('E_TIMEOUT', `still running after ${timeoutMs} ms`)
  if (end.killed === 'memory') throw new TalkootError('E_MEMORY', `its processes used more than ${memoryMiB} MiB`)
  if (end.killed === 'output') throw tooLong()
  if (end.uncollected !== undefined) throw end.uncollected
  if (end.code !== 0) {
    const how = end.signal === null ? exitText(end.code ?? 0) : `ended by ${end.signal}`
    // The last errors are what tells.
    const room = LIMITS.UNIT_ERROR_MAX_CHARS - how.length - 1
    throw new TalkootError('E_EXIT', `${how}\n${end.stderr.trimEnd().slice(-room)}`.trimEnd())
  }
  const stdout = textOf(end.stdout).replace(/\r?\n$/, '')
  const value = canonicalJson(files === null ? { stdout } : { stdout, files })
  if (Buffer.byteLength(value) > LIMITS.UNIT_RESULT_MAX_BYTES) throw tooLong()
  return value
}

const tooLong = (): TalkootError =>
  new TalkootError(
    'E_RESULT_TOO_BIG',
    `it wrote more than ${LIMITS.UNIT_RESULT_MAX_BYTES} bytes, or far too many to stderr`,
  )

/** Bubblewrap, as shells do, passes on the death by a signal as an exit code. */
const SIGNAL_EXIT_BASE = 128

function signalOf(code: number): string | null {
  return Object.entries(constants.signals).find(([, number]) => number === code - SIGNAL_EXIT_BASE)?.[0] ?? null
}

function exitText(code: number): string {
  const signal = signalOf(code)
  return signal === null ? `exit code ${code}` : `exit code ${code} (${signal})`
}

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new TalkootError('E_RESULT_TYPE', 'what it wrote is not UTF-8 text', { cause })
  }
}
