/** What a module must hold to so that its units can be called. Without a schema: the sandbox asks too, and starts faster so. */

import { TalkootError } from '../errors.ts'
import type { FunctionType, ModuleFacts, ValueType } from './binary.ts'
import type { ModuleTask } from './module-task.ts'

/** What the units of a `wasm` task may import from. */
const MODULE_IMPORTS: readonly string[] = ['Math', 'talkoot']
/** What a `wasi` program may import from. */
export const WASI_IMPORTS = 'wasi_snapshot_preview1'

type Called = Pick<ModuleTask, 'export' | 'takes' | 'gives'>

/** The type of the function that is called. @throws E_SOURCE naming what is not as the task says */
export function unitOf(task: Called, facts: ModuleFacts): FunctionType {
  const stranger = facts.imports.find(({ module }) => !MODULE_IMPORTS.includes(module))
  if (stranger !== undefined) {
    throw fault(`imports ${stranger.module}.${stranger.name}, which a unit does not have: is it a WASI program?`)
  }
  const unit = facts.functions.get(task.export)
  if (unit === undefined) throw fault(`exports no function ${task.export}`)
  const { takes, gives } = task
  if (takes === 'json') {
    expectType(facts, task.export, { params: ['i32', 'i32'], results: unit.results })
    expectType(facts, 'alloc', { params: ['i32'], results: ['i32'] })
  } else if (takes.length !== unit.params.length) {
    throw fault(
      `has ${task.export}${written(unit)}, and the task names ${takes.length} parameters: ${takes.join(', ')}`,
    )
  }
  const inMemory = gives !== 'number' && gives !== 'numbers'
  if (inMemory) expectType(facts, task.export, { params: unit.params, results: ['i64'] })
  if ((takes === 'json' || inMemory) && !facts.hasMemory) throw fault('exports no memory')
  if (gives === 'number' && unit.results.length !== 1) throw fault(`has ${task.export}${written(unit)}, not one number`)
  if ([...unit.params, ...unit.results].includes('other')) {
    throw fault(`has ${task.export}${written(unit)}: units take and give numbers`)
  }
  return unit
}

/** @throws E_SOURCE when it is no program that could be started */
export function checkProgram({ imports, functions, hasMemory }: ModuleFacts): void {
  const stranger = imports.find(({ module }) => module !== WASI_IMPORTS)
  if (stranger !== undefined) {
    throw fault(`imports ${stranger.module}.${stranger.name}, which is not of WASI preview 1`)
  }
  if (!functions.has('_start')) throw fault('exports no _start: it is no program')
  if (!hasMemory) throw fault('exports no memory')
}

function expectType(facts: ModuleFacts, name: string, wanted: FunctionType): void {
  const type = facts.functions.get(name)
  if (type === undefined) throw fault(`exports no function ${name}`)
  if (written(type) !== written(wanted)) throw fault(`has ${name}${written(type)} where ${written(wanted)} is needed`)
}

const list = (types: readonly ValueType[]): string => `(${types.join(', ')})`
const written = ({ params, results }: FunctionType): string => `${list(params)} -> ${list(results)}`

const fault = (what: string): TalkootError => new TalkootError('E_SOURCE', `the module ${what}`)
