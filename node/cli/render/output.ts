/** The one interface through which verbs say what they found. Data goes to stdout, narration to stderr. */

import { TalkootError } from '../../../protocol/errors.ts'
import type { Io } from '../io.ts'
import { type Colours, coloursFor } from './colours.ts'
import { JsonRenderer } from './json.ts'
import { QuietRenderer } from './quiet.ts'
import { TableRenderer } from './table.ts'
import type { Renderer } from './view.ts'

export const FORMATS = ['table', 'wide', 'json', 'jsonl', 'quiet'] as const
export type Format = (typeof FORMATS)[number]

export type Output = Renderer & {
  readonly format: Format
  /** True when stdout carries JSON: errors are then JSON as well. */
  readonly machine: boolean
  /** Of stderr. */
  readonly colours: Colours
  /** A line for whoever watches; nothing with --output quiet. */
  note(text: string): Promise<void>
}

export function createOutput(io: Io, options: { format: Format; colour: boolean }): Output {
  const { format, colour } = options
  const renderer = rendererFor(io, format, coloursFor(io.stdout, colour, io.env))
  return {
    format,
    machine: format === 'json' || format === 'jsonl',
    colours: coloursFor(io.stderr, colour, io.env),
    show: (value, view) => renderer.show(value, view),
    rows: (source, view) => renderer.rows(source, view),
    note: async (text) => {
      if (format !== 'quiet') await io.stderr.write(`${text}\n`)
    },
  }
}

/** @throws E_USAGE */
export function parseFormat(text: string): Format {
  const format = FORMATS.find((known) => known === text)
  if (format === undefined) throw new TalkootError('E_USAGE', `--output is one of ${FORMATS.join(', ')}`)
  return format
}

function rendererFor({ stdout }: Io, format: Format, colours: Colours): Renderer {
  if (format === 'quiet') return new QuietRenderer(stdout)
  if (format === 'json' || format === 'jsonl') return new JsonRenderer(stdout, { lines: format === 'jsonl' })
  return new TableRenderer(stdout, { wide: format === 'wide', colours })
}
