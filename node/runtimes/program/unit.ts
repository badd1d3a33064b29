/** A program with a unit's parameters in their places. */

import type { Json } from '../../../protocol/canonical.ts'
import { globOf } from '../../../protocol/command/output-glob.ts'
import type { Program } from '../../../protocol/command/program.ts'
import { fill, written } from '../../../protocol/command/template.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'

export type FilledUnit = {
  argv: readonly string[]
  env: Readonly<Record<string, string>>
  stdin: string | null
  /** Globs of the files that are kept; none: it leaves none. */
  outputs: readonly string[]
}

/** @throws E_INPUT */
export function filledUnit(program: Program, unit: number, text: string): FilledUnit {
  const point: Json = JSON.parse(text)
  const params = typeof point === 'object' && point !== null && !Array.isArray(point) ? point : {}
  let room: number = LIMITS.COMMAND_LINE_MAX_BYTES
  const filled = (template: string): string => {
    const result = fill(template, unit, params)
    if (result === undefined)
      throw new TalkootError('E_INPUT', `"${template}" names a parameter the unit does not have`)
    if (result.includes('\0')) throw new TalkootError('E_INPUT', 'a parameter has a null character')
    room -= Buffer.byteLength(result)
    if (room < 0) throw new TalkootError('E_INPUT', `its command line is over ${LIMITS.COMMAND_LINE_MAX_BYTES} bytes`)
    return result
  }
  const env = Object.fromEntries(Object.entries(program.env).map(([name, value]) => [name, filled(value)]))
  const argv = program.argv.map(filled)
  if (argv[0]?.includes('=')) throw new TalkootError('E_INPUT', `a program with = in its name: ${argv[0]}`)
  return {
    argv,
    env: { ...parametersAsVariables(params), TALKOOT_UNIT: String(unit), ...env },
    stdin: program.stdin === null ? null : filled(program.stdin),
    outputs: program.outputs.map((glob) => globOf(filled(glob))),
  }
}

/** `x` is also `TALKOOT_PARAM_x`, if it can be the name of a variable and its value be one. */
function parametersAsVariables(params: Readonly<Record<string, Json>>): Record<string, string> {
  const named = Object.entries(params).flatMap(([name, value]) => {
    const text = written(value)
    const fits = /^\w+$/.test(name) && !text.includes('\0') && text.length <= LIMITS.COMMAND_ARGUMENT_MAX_CHARS
    return fits ? [[`TALKOOT_PARAM_${name}`, text]] : []
  })
  return Object.fromEntries(named)
}
