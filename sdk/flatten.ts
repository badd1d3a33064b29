/**
 * Results as rows of a table.
 * - Objects are spread over columns, their names joined by dots; a value that is no object has the column `value`.
 * - Arrays are JSON text. Null and what is not there are empty.
 * - A parameter that has the name of another column is called `params.` and its name; a field of the value that has
 *   the name of a parameter or another column is called `value.` and its name.
 * - Failed units have an error code and no value.
 */

import type { Result } from './result.ts'

type Cell = string | number | boolean | null
type Cells = Record<string, Cell>

type FlatRow = { fixed: Cells; params: Cells; value: Cells }

const FIRST = ['unit']
const LAST = ['status', 'error', 'attempts']

export function flatten(result: Result<unknown, unknown>): FlatRow {
  const { unit, status, attempts, error } = result
  const reserved = new Set([...FIRST, ...LAST])
  const params = spread(result.params, 'params', reserved)
  for (const name of Object.keys(params)) reserved.add(name)
  const value = status === 'accepted' ? spread(result.value, 'value', reserved) : {}
  return { fixed: { unit, status, error: error?.code ?? null, attempts }, params, value }
}

/** Every column any row has, in the order they are met. */
export class TableColumns {
  readonly #params = new Set<string>()
  readonly #values = new Set<string>()

  add({ params, value }: FlatRow): void {
    for (const name of Object.keys(params)) this.#params.add(name)
    for (const name of Object.keys(value)) this.#values.add(name)
  }

  names(): string[] {
    return [...new Set([...FIRST, ...this.#params, ...this.#values, ...LAST])]
  }
}

function spread(root: unknown, group: string, taken: ReadonlySet<string>): Cells {
  const cells: [string, Cell][] = []
  const walk = (value: unknown, path: string): void => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [name, part] of Object.entries(value)) walk(part, path === '' ? name : `${path}.${name}`)
      return
    }
    const name = path === '' ? group : path
    cells.push([taken.has(name) ? `${group}.${name}` : name, cellOf(value)])
  }
  walk(root, '')
  return Object.fromEntries(cells)
}

const cellOf = (value: unknown): Cell =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? value
    : value === null || value === undefined
      ? null
      : JSON.stringify(value)
