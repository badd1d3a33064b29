/** The tasks of the benchmarks, as a job takes them. */

import { fileURLToPath } from 'node:url'
import { taskAt } from '../../sdk/index.ts'

export const noopTask = taskAt<typeof import('./noop.task.ts')>(fileOf('noop.task.ts'))
export const spinTask = taskAt<typeof import('./spin.task.ts')>(fileOf('spin.task.ts'))

function fileOf(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url))
}
