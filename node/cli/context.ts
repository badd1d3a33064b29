/** What a verb is given: the outside, the output, the node of this user. */

import type { Command } from 'commander'
import { TalkootError } from '../../protocol/errors.ts'
import { type StatePaths, statePaths } from '../../protocol/home.ts'
import { Client } from '../../sdk/client.ts'
import { Mesh } from '../../sdk/mesh.ts'
import type { Io } from './io.ts'
import { parseDuration } from './quantities.ts'
import { createOutput, type Output, parseFormat } from './render/output.ts'

export type GlobalOptions = { output?: string; json?: boolean; color?: boolean; timeout?: string }

export type Context = {
  /** The whole command line. */
  argv: readonly string[]
  io: Io
  output: Output
  paths: StatePaths
  client: Client
  mesh: Mesh
  /** Aborts on interruption and when --timeout is over. */
  signal: AbortSignal
}

/** A verb's work; it answers with an exit code, or with nothing when all went well. */
export type Verb<Args extends unknown[]> = (context: Context, ...args: Args) => Promise<number | undefined>

/** Makes a verb into an action of commander. */
export type Act = <Args extends unknown[]>(verb: Verb<Args>) => (...args: [...Args, Command]) => Promise<void>

/** Adds a verb to the command tree. */
export type Register = (program: Command, act: Act) => void

export function createContext(argv: readonly string[], io: Io, options: GlobalOptions): Context {
  const client = new Client(io.env.TALKOOT_HOME ? { home: io.env.TALKOOT_HOME } : {})
  const signals = [io.interrupted]
  if (options.timeout !== undefined) signals.push(deadline(options.timeout))
  return {
    argv,
    io,
    output: createOutput(io, { format: formatOf(options), colour: options.color !== false }),
    paths: statePaths(io.env),
    client,
    mesh: new Mesh(client, async () => undefined),
    signal: AbortSignal.any(signals),
  }
}

function formatOf({ json, output }: GlobalOptions) {
  if (json && output !== undefined && output !== 'json') {
    throw new TalkootError('E_USAGE', '--json and --output contradict each other')
  }
  return json ? 'json' : parseFormat(output ?? 'table')
}

function deadline(text: string): AbortSignal {
  const ms = parseDuration(text)
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(new TalkootError('E_WAITED', `not done within ${text}`)), ms)
  timer.unref()
  return over.signal
}
