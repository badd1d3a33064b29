/** The outside of a command: where it writes, what it may ask, what tells it to stop. */

import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'

export type Sink = {
  /** Waits while whoever reads is slower. */
  write(text: string): Promise<void>
  /** True for a person at a terminal. */
  readonly isTerminal: boolean
  readonly columns: number
  /** Bits of colour. */
  readonly colours: number
}

export type Io = {
  /** Data. */
  stdout: Sink
  /** Narration. */
  stderr: Sink
  env: Readonly<Record<string, string | undefined>>
  cwd: string
  /** Aborts when the user wants it to end. */
  interrupted: AbortSignal
  /** Null where nobody can answer. */
  ask: ((question: string) => Promise<string>) | null
}

const PLAIN_COLUMNS = 100

export function processIo(interrupted: AbortSignal): Io {
  return {
    stdout: sinkTo(process.stdout),
    stderr: sinkTo(process.stderr),
    env: process.env,
    cwd: process.cwd(),
    interrupted,
    ask: process.stdin.isTTY && process.stderr.isTTY ? askAtTerminal : null,
  }
}

const sinkTo = (stream: NodeJS.WriteStream): Sink => ({
  async write(text) {
    if (!stream.write(text)) await once(stream, 'drain')
  },
  isTerminal: stream.isTTY === true,
  columns: stream.columns ?? PLAIN_COLUMNS,
  colours: stream.isTTY ? stream.getColorDepth() : 1,
})

async function askAtTerminal(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return await terminal.question(question)
  } finally {
    terminal.close()
  }
}
