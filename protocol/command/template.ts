/** Texts with places for a unit's parameters: `--x {x}`, `run-{unit}.log`, `{{literal}}`. */

import type { Json } from '../canonical.ts'
import { TalkootError } from '../errors.ts'
import { LIMITS } from '../limits.ts'

const PLACEHOLDER = /\{\{|\}\}|\{([^{}]*)\}|[{}]/g

/** The placeholder for the index of the unit. */
const UNIT_PLACEHOLDER = 'unit'

/** What is wrong with a text as a template; null: nothing. */
export function templateFault(text: string): string | null {
  for (const [whole, name] of text.matchAll(PLACEHOLDER)) {
    if (whole === '{' || whole === '}') return `has a single ${whole}: write ${whole}${whole} for the character itself`
    if (name === '') return 'has an empty placeholder {}: write {{}} for the characters themselves'
  }
  return null
}

/** The parameters that templates name. */
export function parametersIn(texts: readonly string[]): string[] {
  const named = texts.flatMap((text) => [...text.matchAll(PLACEHOLDER)].flatMap(([, name]) => name ?? []))
  return [...new Set(named)].filter((name) => name !== UNIT_PLACEHOLDER)
}

/**
 * Undefined when a parameter it names is not there. Text stands for itself, everything else as JSON.
 * @throws E_INPUT when it becomes too long: one parameter may stand in thousands of places
 */
export function fill(text: string, unit: number, params: Readonly<Record<string, Json>>): string | undefined {
  let whole = true
  let room = LIMITS.COMMAND_FILLED_MAX_BYTES
  const filled = text.replace(PLACEHOLDER, (found, name: string | undefined) => {
    if (name === undefined) return found[0] ?? ''
    if (Object.hasOwn(params, name)) {
      const value = written(params[name])
      room -= value.length
      if (room < 0) throw tooLong()
      return value
    }
    if (name === UNIT_PLACEHOLDER) return String(unit)
    whole = false
    return ''
  })
  if (utf8.encode(filled).length > LIMITS.COMMAND_FILLED_MAX_BYTES) throw tooLong()
  return whole ? filled : undefined
}

/** Also used in the sandbox, which has nothing of Node. */
const utf8 = new TextEncoder()

const tooLong = (): TalkootError =>
  new TalkootError('E_INPUT', `a filled argument is over ${LIMITS.COMMAND_FILLED_MAX_BYTES} bytes`)

export const written = (value: Json | undefined): string => (typeof value === 'string' ? value : JSON.stringify(value))
