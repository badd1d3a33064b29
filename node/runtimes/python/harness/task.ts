/** A job's script: laid down and compiled once, then run for each unit from the same memory. */

import type { Json } from '../../../../protocol/canonical.ts'
import { globOf } from '../../../../protocol/command/output-glob.ts'
import { fill } from '../../../../protocol/command/template.ts'
import { TalkootError } from '../../../../protocol/errors.ts'
import { LIMITS } from '../../../../protocol/limits.ts'
import type { Script as Source } from '../../../../protocol/python/script.ts'
import { checkWheels } from '../../../../protocol/python/wheel.ts'
import { bytesOfBase64 } from '../../../../protocol/wasm/bytes.ts'
import type { Context } from '../../js/harness/call.ts'
import { Failure } from '../../js/harness/failure.ts'
import type { GivenFile } from '../../js/harness/given.ts'
import { drainPromiseJobs } from '../../js/harness/host.ts'
import { archiveOf } from '../../js/harness/outputs/archive.ts'
import { Left } from '../../js/harness/outputs/left.ts'
import type { Task } from '../../js/harness/task.ts'
import { connectDevices } from './devices.ts'
import { type FileNode, Files, folderOf } from './files.ts'
import { layGiven } from './given.ts'
import { rememberMemory } from './memory.ts'
import { Collected } from './output.ts'
import type { Python } from './python.ts'
import type { World } from './world.ts'

type Point = Readonly<Record<string, Json>>
type Reply = [code: ConstructorParameters<typeof Failure>[0] | null, value: unknown]

const HOME = '/unit'
const PACKAGES = '/packages'
const STDOUT = 1
const STDERR = 2
const STACK_OVERFLOW = 'Maximum call stack size exceeded'

export class Script {
  readonly #python: Python
  readonly #world: World
  readonly #run: (unit: number, seed: number, params: string, resumed: string) => unknown
  readonly #isPrinting: boolean
  readonly #outputs: readonly string[]
  readonly #home: FileNode
  readonly #given: ReadonlySet<string>
  readonly #putBack: () => void
  readonly #fault: Failure | undefined

  /** Nothing of the script is run yet, and what is wrong with it is each unit's failure. */
  constructor(source: string, given: readonly GivenFile[], python: Python, world: World) {
    const { file, base64, outputs }: Source = JSON.parse(source)
    this.#outputs = outputs
    this.#given = new Set([file, ...given.map(({ path }) => path)])
    this.#python = python
    this.#world = world
    const { pyodide, emscripten } = python
    for (const folder of [HOME, PACKAGES]) emscripten.FS.mkdirTree(folder)
    this.#home = emscripten.FS.lookupPath(HOME).node
    this.#connectOutput()
    const driver = pyodide.pyimport('_talkoot')
    connectDevices(emscripten.FS, world)
    driver.connect?.(LIMITS.UNIT_ERROR_MAX_CHARS, LIMITS.UNIT_VALUE_DEPTH_MAX, LIMITS.UNIT_CHECKPOINT_MAX_BYTES)
    const unlaid = faultOf(() => {
      checkWheels(given.map(({ path }) => path))
      const others = given.filter(({ path }) => path !== file)
      layGiven(emscripten, HOME, others)
      layScript(emscripten, `${HOME}/${file}`, bytesOfBase64(base64))
    })
    // Also for what the wheels are unpacked to.
    const disk = new Files(emscripten.FS, LIMITS.PYTHON_WRITTEN_MAX_BYTES)
    this.#fault = unlaid ?? faultOf(() => driver.prepare?.(file))
    this.#isPrinting = driver.is_script?.() === true
    // Found now: later, looking for it would lead through JavaScript.
    const { run } = driver
    this.#run = (...given) => run?.(...given)
    drainPromiseJobs()
    python.guard.shut()
    const putMemoryBack = rememberMemory(emscripten)
    const putFilesBack = disk.remember()
    this.#putBack = () => {
      putMemoryBack()
      putFilesBack()
      world.clock.reset()
    }
  }

  /** The script as if nothing had run before. `spoilt` is told when this Python may not run another unit. */
  task(spoilt: () => void): Task {
    if (this.#fault !== undefined) throw this.#fault
    this.#putBack()
    const run = (params: unknown, given: unknown): unknown => {
      const [point, context] = [params as Point, given as Context]
      const globs = this.#outputs.map((template) => globAt(template, context.unit, point))
      try {
        return this.#runUnit(point, context, globs)
      } catch (thrown) {
        if (Failure.is(thrown)) throw thrown
        spoilt()
        throw this.#python.metMemoryLimit() ? outOfMemory() : failureOfMachine(thrown, 'E_TASK_THREW')
      } finally {
        if (this.#python.guard.addedFunctions) spoilt()
      }
    }
    return { run, agree: undefined }
  }

  #runUnit(point: Point, context: Context, globs: readonly string[]): unknown {
    const { unit, seed, random, log, checkpoint, resumed } = context
    const own = this.#lay(context.given ?? [])
    const printed = new Collected(LIMITS.UNIT_RESULT_MAX_BYTES)
    const logged = new Collected(LIMITS.UNIT_LOG_MAX_CHARS)
    this.#world.surroundings.random = random
    this.#world.surroundings.save = (state) => checkpoint(JSON.parse(state))
    this.#world.surroundings.output = (descriptor, bytes) => {
      const isValue = this.#isPrinting && descriptor === STDOUT
      const to = isValue ? printed : logged
      to.add(bytes)
      // Python is told that writing failed, or a script that prints without end would have none.
      if (isValue && printed.isOver) throw new Error('the value is too long')
    }
    try {
      const said = this.#run(unit, seed, JSON.stringify(point), JSON.stringify(resumed ?? null))
      const [code, value] = JSON.parse(String(said)) as Reply
      drainPromiseJobs()
      if (this.#python.metMemoryLimit()) throw outOfMemory()
      if (printed.isOver) throw new Failure('E_RESULT_TOO_BIG', `it printed over ${LIMITS.UNIT_RESULT_MAX_BYTES} bytes`)
      if (code !== null) throw new Failure(code, String(value))
      const given = this.#isPrinting ? { stdout: printed.text().replace(/\n$/, '') } : value
      if (globs.length === 0) return given
      return new Left(this.#isPrinting ? Object(given) : { value }, archiveOf(folderOf(this.#home), globs, own))
    } finally {
      if (logged.size > 0) log(logged.text().replace(/\n$/, ''))
    }
  }

  /** Files of a point, beside those of all: what is put back before the next unit. Gives the paths of both. */
  #lay(files: readonly GivenFile[]): ReadonlySet<string> {
    if (files.length === 0) return this.#given
    try {
      layGiven(
        this.#python.emscripten,
        HOME,
        files.filter(({ path }) => !this.#given.has(path)),
      )
    } catch {
      throw new Failure('E_TREE', 'files of its point have no place beside those of all units')
    }
    return new Set([...this.#given, ...files.map(({ path }) => path)])
  }

  #connectOutput(): void {
    const { pyodide } = this.#python
    const writer = (descriptor: number) => ({
      write: (bytes: Uint8Array) => {
        this.#world.surroundings.output(descriptor, bytes)
        return bytes.length
      },
    })
    pyodide.setStdin({ stdin: () => null })
    pyodide.setStdout(writer(STDOUT))
    pyodide.setStderr(writer(STDERR))
  }
}

function layScript({ FS }: Python['emscripten'], path: string, script: Uint8Array): void {
  FS.mkdirTree(path.slice(0, path.lastIndexOf('/')))
  FS.writeFile(path, script)
}

/** What is wrong with the task, and not with a unit. */
function faultOf(does: () => void): Failure | undefined {
  try {
    does()
    return undefined
  } catch (thrown) {
    return failureOfMachine(thrown, 'E_SOURCE')
  }
}

function globAt(template: string, unit: number, point: Point): string {
  const filled = fill(template, unit, point)
  if (filled !== undefined) return globOf(filled)
  throw new Failure('E_INPUT', `"${template}" names a parameter the unit does not have`)
}

const outOfMemory = (): Failure => new Failure('E_MEMORY', 'the memory limit was reached')

/** What ends Python as a whole: the exit of its process, calls too deep for V8, a trap. */
function failureOfMachine(thrown: unknown, code: 'E_SOURCE' | 'E_TASK_THREW'): Failure {
  if (thrown instanceof TalkootError) return new Failure(thrown.code, thrown.message)
  const { status, message } = Object(thrown) as { status?: unknown; message?: unknown }
  if (typeof status === 'number') return new Failure('E_EXIT', `exit ${status}`)
  if (message === STACK_OVERFLOW) return new Failure(code, 'calls too deep for the stack')
  return new Failure(code, `Python itself failed: ${String(message)}`)
}
