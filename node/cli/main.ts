/** Where `talkoot` begins. */

import { processIo } from './io.ts'
import { runCli } from './program.ts'
import { dieWithLauncher } from './supervision.ts'

const interruption = new AbortController()
let signals = 0
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    signals += 1
    // Whoever asks twice does not want to wait for a clean end.
    if (signals > 1) process.exit(130)
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
