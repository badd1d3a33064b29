/** Colour where it is wanted: at a terminal, unless NO_COLOR (no-color.org) or --no-color says otherwise. */

import picocolors from 'picocolors'
import type { Sink } from '../io.ts'

export type Colours = ReturnType<typeof picocolors.createColors>

export function coloursFor(sink: Sink, wanted: boolean, env: Readonly<Record<string, string | undefined>>): Colours {
  const forbidden = env.NO_COLOR !== undefined && env.NO_COLOR !== ''
  return picocolors.createColors(wanted && !forbidden && sink.colours > 1)
}
