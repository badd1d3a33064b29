/** An error as it is shown: its code, whose move it is, what to do next. Never a stack. */

import { errorBody } from '../../../protocol/api.ts'
import type { TalkootError } from '../../../protocol/errors.ts'
import { UnplaceableError } from '../../../protocol/unplaceable.ts'
import type { Colours } from './colours.ts'
import { grid } from './grid.ts'
import { MOVES } from './moves.ts'

/** `typed`: the verb this comes from, as in `talkoot token create`. */
export function errorText(error: TalkootError, colours: Colours, typed: string): string {
  const lines = [`${colours.red('✖')} ${colours.bold(error.code)} ${error.message}`]
  if (error instanceof UnplaceableError && error.clauses.length > 0) {
    const table = grid(
      error.clauses,
      [
        { title: 'CLAUSE', cell: ({ clause }) => clause },
        { title: 'EXCLUDES', align: 'right', cell: ({ excludes }) => String(excludes) },
        { title: 'LEFT', align: 'right', cell: ({ remaining }) => String(remaining) },
      ],
      colours,
    )
    lines.push(...table.split('\n').map((line) => `  ${line}`))
  }
  lines.push(`  ${MOVES[error.mover]} → ${error.hint.replace('talkoot VERB', typed)}`)
  return lines.join('\n')
}

export const errorJson = (error: TalkootError): string =>
  JSON.stringify(errorBody(error, error instanceof UnplaceableError ? [...error.clauses] : undefined))
