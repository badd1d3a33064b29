/** Where `talkoot` begins. */

import { processIo } from './io.ts'
import { runCli } from './program.ts'
import { dieWithLauncher } from './supervision.ts'

/** Who signals a whole group reaches this process twice, the second time through its launcher: that is asked once. */
const ECHO_MS = 1_000

const interruption = new AbortController()
let askedAt: number | null = null
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    askedAt ??= performance.now()
    // Whoever asks again does not want to wait for a clean end.
    if (performance.now() - askedAt > ECHO_MS) process.exit(130)
    interruption.abort(signal)
  })
}
// `talkoot jobs | head`: a reader who has enough is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
dieWithLauncher()

const exitCode = await runCli(process.argv.slice(2), processIo(interruption.signal))
// All that was ours has ended; timers within libp2p may still have seconds to run.
for (const stream of [process.stdout, process.stderr]) await new Promise<void>((done) => stream.write('', () => done()))
process.exit(exitCode)
