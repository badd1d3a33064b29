/** Naming a task by the place of its module. */

import type { Task, TaskContext } from './task.ts'

/** A task module that is not imported here, with the types it would have. */
export type TaskAt<Params, Value> = {
  readonly url: URL | string
  /** For the compiler only: never there. */
  readonly types?: (params: Params) => Value
}

type Exported = { default: unknown }
type ParamsOf<T> = T extends Task<infer P, unknown> ? P : T extends Runs<infer P, unknown> ? P : never
type ValueOf<T> = T extends Task<never, infer V> ? V : T extends Runs<never, infer V> ? Awaited<V> : never
type Runs<P, V> = ((params: P, context: TaskContext) => V) | { run(params: P, context: TaskContext): V }

/**
 * A task by its address, with the types of its module.
 * @example mesh.map(taskAt<typeof import('./pi.task.ts')>(new URL('./pi.task.ts', import.meta.url)), sweep)
 */
export const taskAt = <M extends Exported>(
  url: URL | string,
): TaskAt<ParamsOf<M['default']>, ValueOf<M['default']>> => ({ url })
