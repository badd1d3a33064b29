/** One call of the task: a unit, or a question whether two values agree. */

import { LIMITS } from '../../../../protocol/limits.ts'
import type { Call } from '../frames.ts'
import { Failure } from './failure.ts'
import type { GivenFile } from './given.ts'
import { drainPromiseJobs } from './host.ts'
import type { Task } from './task.ts'

/** What `run` gets as its second argument. */
export type Context = {
  unit: number
  seed: number
  /** The stream of `Math.random` of this unit. */
  random: () => number
  log: (...text: unknown[]) => void
  /** Saves a state to go on from. */
  checkpoint: (state: unknown) => void
  /** The last state it saved where it ran before; undefined: it begins. */
  resumed: unknown
  /** Files of its point, where there are any. */
  given?: readonly GivenFile[]
}

export type Outcome = { state: 'pending' | 'returned' | 'threw'; value: unknown }

/** Runs a call and all promise jobs it makes. What is pending then is so for ever: nothing else could settle it. */
export function runCall(call: Call, freshTask: () => Task, context: Context): Outcome {
  const outcome: Outcome = { state: 'pending', value: undefined }
  const settle = (state: Outcome['state'], value: unknown): void => {
    outcome.state = state
    outcome.value = value
  }
  try {
    const value = enter(call, freshTask(), context)
    if (isThenable(value)) {
      new Promise((resolve) => resolve(value)).then(
        (settled) => settle('returned', settled),
        (reason) => settle('threw', reason),
      )
    } else settle('returned', value)
  } catch (thrown) {
    settle('threw', thrown)
  }
  drainPromiseJobs()
  return outcome
}

function enter(call: Call, task: Task, context: Context): unknown {
  if ('params' in call) return task.run(JSON.parse(call.params), context)
  if (task.agree === undefined) throw new Failure('E_TASK_INVALID', 'the task has no `agree` function')
  return task.agree(JSON.parse(call.a), JSON.parse(call.b))
}

function isThenable(value: unknown): boolean {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return false
  return typeof (value as { then?: unknown }).then === 'function'
}

/** The log of one unit: what is over the limit is dropped. */
export class Log {
  text = ''

  readonly add = (...words: unknown[]): void => {
    const room = LIMITS.UNIT_LOG_MAX_CHARS - this.text.length
    if (room > 0) this.text += `${words.map(String).join(' ')}\n`.slice(0, room)
  }
}
