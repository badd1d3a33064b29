/** A function of a WebAssembly module as a task. docs/wasm.md is how it is called. */

import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Json } from '../protocol/canonical.ts'
import { decodeModuleTask, encodeModuleTask, type ModuleTask, moduleTaskSchema } from '../protocol/wasm/module-task.ts'
import { base64Of, checkedTask, type ProgramTask, type TaskBundle, taskBundle } from './task-bundle.ts'

/** What its units give, by how the function gives it. */
type Given = { number: number; numbers: number[]; floats: number[]; bytes: string; json: Json }

export type WasmOptions<Takes, Gives> = {
  /** Numbers of the point, by name, in the order of the function's parameters; or the whole point as JSON. */
  takes: Takes
  /** One number, several; or what lies in memory where the function says. @default 'number', and 'json' if it takes that */
  gives?: Gives
  /** The function. @default 'unit' */
  export?: string
  /** What a relative path starts from. @default the current folder */
  cwd?: string
}

export class WasmTask<Needs, Value> implements ProgramTask<Needs, Value> {
  declare readonly types?: (needs: Needs) => Value
  readonly file: string
  readonly #how: Omit<ModuleTask, 'base64'>

  constructor(file: string, how: Omit<ModuleTask, 'base64'>) {
    this.file = file
    this.#how = how
  }

  /** @throws E_FILE, E_SOURCE if the module is not as the task says, E_TASK_INVALID, E_TASK_TOO_BIG */
  async bundle(): Promise<TaskBundle> {
    const source = encodeModuleTask(checkedTask(moduleTaskSchema, { ...this.#how, base64: await base64Of(this.file) }))
    decodeModuleTask(source)
    return taskBundle('wasm', source)
  }
}

/**
 * A function of a WebAssembly module, called for each point: a new instance each time, in the sandbox of JavaScript tasks.
 * @example mesh.map(wasm('decay.wasm', { takes: ['rate', 'time'] }), grid({ rate: [0.1, 0.2], time: range(100) }))
 */
export function wasm<const Name extends string, Gives extends keyof Given = 'number'>(
  file: URL | string,
  options: WasmOptions<readonly Name[], Gives>,
): WasmTask<Readonly<Record<Name, number>>, Given[Gives]>
export function wasm<Point = unknown, Value = Json>(
  file: URL | string,
  options: WasmOptions<'json', keyof Given>,
): WasmTask<Point, Value>
export function wasm(
  file: URL | string,
  { takes, gives, export: name = 'unit', cwd = '.' }: WasmOptions<readonly string[] | 'json', keyof Given>,
): WasmTask<unknown, unknown> {
  const how = { v: 1, export: name, gives: gives ?? (takes === 'json' ? 'json' : 'number') } as const
  return new WasmTask(pathOf(file, cwd), { ...how, takes: takes === 'json' ? takes : [...takes] })
}

export const pathOf = (file: URL | string, cwd: string): string =>
  file instanceof URL || file.startsWith('file:') ? fileURLToPath(file) : resolve(cwd, file)
