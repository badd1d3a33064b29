/** A job's task: compiled once, its module evaluated anew for every unit so that none sees another's state. */

import { Failure, failureOf } from './failure.ts'
import { compileFunction } from './host.ts'

const NAME_SHOWN_CHARS = 200

type Module = { exports: unknown }
type Evaluate = (module: Module, exports: unknown, require: (name: string) => never) => void
/** One evaluation of the task's module. */
export type Task = { run: Call; agree: Call | undefined }
type Call = (a: unknown, b: unknown) => unknown

/** Returns what makes a fresh copy of the task. Each call throws Failure E_SOURCE when the source is at fault. */
export function compileTask(source: string): () => Task {
  const compile = () => compileFunction(`"use strict";${source}\n`, ['module', 'exports', 'require']) as Evaluate
  const compiled = compiledOnce(compile)
  return () => {
    const evaluate = compiled()
    const module: Module = { exports: {} }
    try {
      evaluate(module, module.exports, refuseRequire)
      return taskOf(module.exports)
    } catch (thrown) {
      throw failureOf(thrown, 'E_SOURCE')
    }
  }
}

/** What a source compiles to. Each call throws what is wrong with the source, Failure E_SOURCE if it says nothing else. */
export function compiledOnce<T>(compile: () => T): () => T {
  let compiled: T
  try {
    compiled = compile()
  } catch (thrown) {
    const failure = failureOf(thrown, 'E_SOURCE')
    return () => {
      throw failure
    }
  }
  return () => compiled
}

function taskOf(exported: unknown): Task {
  const task = member(exported, 'default') ?? exported
  const run = typeof task === 'function' ? task : member(task, 'run')
  if (typeof run !== 'function') throw new Failure('E_SOURCE', 'the module exports no function as its default')
  const agree = member(task, 'agree')
  return {
    run: (params, context) => Reflect.apply(run, task, [params, context]),
    agree: typeof agree === 'function' ? (a, b) => Reflect.apply(agree, task, [a, b]) : undefined,
  }
}

function member(value: unknown, key: string): unknown {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return undefined
  return (value as Record<string, unknown>)[key]
}

/** Frozen, for it is the same in every unit. */
const refuseRequire = Object.freeze((name: string): never => {
  const refusal = new Error(`require(${JSON.stringify(String(name).slice(0, NAME_SHOWN_CHARS))}) at run time`)
  throw Object.assign(refusal, { code: 'E_IMPORT' })
})
