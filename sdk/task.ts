/**
 * The task side of the SDK: what a task module imports. It is bundled into the task and runs in the sandbox,
 * so it imports nothing but types.
 */

import type { StandardSchemaV1 } from '@standard-schema/spec'

/** The second argument of `run`. */
export type TaskContext = {
  /** The index of the unit in its sweep. */
  readonly unit: number
  /** The seed of the job: `policy.seed`. */
  readonly seed: number
  /** The stream of `Math.random`: seeded by job and unit, the same on every peer. */
  random(): number
  /** Text for whoever looks at the unit; never part of its result. */
  log(...text: unknown[]): void
  /**
   * Saves a state, plain data of at most 512 KiB as JSON, for when the unit is stopped before its end and run again. Call it
   * as often as is useful: the last one counts, and it may be lost at any time. @throws E_CHECKPOINT
   */
  checkpoint(state: unknown): void
  /** The last state the unit saved where it ran before; undefined: it begins. The value must be the same either way. */
  readonly resumed: unknown
}

/** When two numbers a and b are the same result: |a - b| <= absolute + relative * max(|a|, |b|). */
export type Tolerance = { relative?: number; absolute?: number }

/** How results of one unit are compared: byte for byte, numbers within a tolerance, or by a function of one's own. */
export type Agreement<Value> = 'exact' | Tolerance | ((a: Value, b: Value) => boolean)

/**
 * - `Params`: what a point of the sweep holds, plain data;
 * - `Input`: what `run` gets, once the `input` schema has checked (and perhaps changed) it;
 * - `Returned`: what `run` gives, and `Value`: that once `output` has checked it.
 */
export type TaskDefinition<Params, Input, Returned, Value> = {
  /** `import.meta.url`: lets `mesh.map(task, ...)` find the module again, to bundle it. */
  url?: string | undefined
  /** Any Standard Schema (zod, valibot, arktype, ...). Parameters that do not fit fail the unit with E_INPUT. */
  input?: StandardSchemaV1<Params, Input>
  /** A value that does not fit fails the unit with E_OUTPUT. */
  output?: StandardSchemaV1<Returned, Value>
  /** `exact` unless said otherwise. */
  agree?: Agreement<NoInfer<Value>>
  run(params: Input, context: TaskContext): Returned | Promise<Returned>
}

export type Task<Params, Value> = {
  readonly url: string | undefined
  readonly agreement: 'exact' | 'function' | Tolerance
  readonly agree?: (a: Value, b: Value) => boolean
  run(params: Params, context: TaskContext): Value | Promise<Value>
}

/**
 * A task whose types reach the results of `mesh.map`.
 * @example export default defineTask({ url: import.meta.url, run: ({ n }: { n: number }) => n * n })
 */
export function defineTask<Input, Returned, Params = Input, Value = Returned>(
  definition: TaskDefinition<Params, Input, Returned, Value>,
): Task<Params, Value> {
  const { url, input, output, agree = 'exact', run } = definition
  const task: Task<Params, Value> = {
    url,
    agreement: typeof agree === 'function' ? 'function' : agree,
    run: (params, context) =>
      then(checked<Input>(input, params, 'E_INPUT'), (own) =>
        then(run(own, context), (returned) => checked<Value>(output, returned, 'E_OUTPUT')),
      ),
  }
  return typeof agree === 'function' ? { ...task, agree } : task
}

/** Goes on at once where nothing is awaited: a promise a unit costs more than many a unit. */
function then<T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(next) : next(value)
}

/** Without a schema the two types are one. */
function checked<T>(schema: StandardSchemaV1<unknown, T> | undefined, value: unknown, code: string): T | Promise<T> {
  if (schema === undefined) return value as T
  return then(schema['~standard'].validate(value), (result) => {
    if (result.issues === undefined) return result.value
    throw Object.assign(new Error(result.issues.map(describe).join('; ')), { code })
  })
}

function describe({ path = [], message }: StandardSchemaV1.Issue): string {
  const keys = path.map((key) => String(typeof key === 'object' ? key.key : key))
  return keys.length === 0 ? message : `${keys.join('.')}: ${message}`
}
