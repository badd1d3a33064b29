/** Nodes as processes of their own: started, waited for, and never left behind by a parent that died. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { TalkootError } from '../../protocol/errors.ts'

/** How long the parent matters: until the node is up, or for as long as it lives. */
type Bond = 'until-up' | 'for-life'

type UpReport = { up: object } | { error: { code: string; message: string } }

type SpawnInit = {
  /** A command line of `talkoot up`. */
  argv: readonly string[]
  env: Readonly<Record<string, string | undefined>>
  bond: Bond
  /** File descriptor that takes what the process prints. */
  log: number
  signal: AbortSignal
}

export type NodeProcess = { child: ChildProcess; report: object }

const BOND = 'TALKOOT_BOND'
const LAUNCHED = 'TALKOOT_LAUNCHED'
const KILL_AFTER_MS = 10_000
/** As in bin/talkoot.js: a node with a channel to its parent cannot see to that itself. */
const LEAN = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_TRIM_THRESHOLD_: String(2 ** 20),
  MALLOC_MMAP_THRESHOLD_: String(2 ** 21),
}

/**
 * Runs `talkoot up` in another process and waits until it is up.
 * @throws the error the node met, or E_INTERNAL when it ended without a word
 */
export async function spawnNode({ argv, env, bond, log, signal }: SpawnInit): Promise<NodeProcess> {
  signal.throwIfAborted()
  const main = fileURLToPath(new URL('../../bin/talkoot.js', import.meta.url))
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...argv], {
    stdio: ['ignore', log, log, 'ipc'],
    env: { ...LEAN, ...env, [BOND]: bond },
    detached: bond === 'until-up',
  })
  try {
    const ended = once(child, 'exit', { signal }).then(([code]) => {
      throw new TalkootError('E_INTERNAL', `the node ended with exit code ${code} before it was up`)
    })
    const [report] = (await Promise.race([once(child, 'message', { signal }), ended])) as [UpReport]
    if ('error' in report) throw TalkootError.fromObject(report.error)
    if (bond === 'until-up') {
      child.disconnect()
      child.unref()
    }
    return { child, report: report.up }
  } catch (error) {
    await endProcess(child)
    throw error
  }
}

/** Asks it to stop, and insists. */
export async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const insist = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS)
  await gone
  clearTimeout(insist)
}

/** The process that started this one, if it waits for a report. */
type Parent = {
  bond: Bond
  /** Aborts when a parent for life is gone, however it ended. */
  gone: AbortSignal
  tell(report: UpReport): Promise<void>
}

export function parentOf(env: Readonly<Record<string, string | undefined>>): Parent | null {
  const bond = env[BOND]
  const send = process.send?.bind(process)
  if (send === undefined || (bond !== 'until-up' && bond !== 'for-life')) return null
  const gone = new AbortController()
  if (bond === 'for-life') process.once('disconnect', () => gone.abort())
  // Listening alone must not keep a process that has nothing more to do.
  process.channel?.unref()
  return {
    bond,
    gone: gone.signal,
    tell: (report) => new Promise((resolve) => send(report, () => resolve())),
  }
}

/** Ends this process when the launcher in bin/ is gone: it cannot pass on a SIGKILL. */
export function dieWithLauncher(): void {
  if (process.env[LAUNCHED] === undefined || process.channel === undefined) return
  delete process.env[LAUNCHED]
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  process.channel.unref()
}
