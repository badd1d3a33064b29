/** Processes that keep trees, on loopback or in network namespaces. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Facts, Order } from './tree-process.ts'

const SCRIPT = fileURLToPath(new URL('tree-process.ts', import.meta.url))

/** As a node is started: bin/talkoot.js. */
const LEAN = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '1048576', MALLOC_MMAP_THRESHOLD_: '2097152' }
const YOUNG = '--max-semi-space-size=4'

type Place = { address: string; netns?: string }

export class TreeProcess {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (answer: unknown) => void>()
  #orders = 0
  readonly #ready = Promise.withResolvers<string>()

  constructor(folder: string, { address, netns }: Place, token?: string) {
    const script = [
      process.execPath,
      YOUNG,
      SCRIPT,
      folder,
      `/ip4/${address}/tcp/0`,
      ...(token === undefined ? [] : [token]),
    ]
    const [command = '', ...args] = netns === undefined ? script : ['ip', 'netns', 'exec', netns, ...script]
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...LEAN } })
    this.#child.once('exit', () => this.#ready.reject(new Error('the process ended')))
    if (this.#child.stdout !== null) {
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        const { peerId, id, answer } = JSON.parse(line)
        if (peerId !== undefined) this.#ready.resolve(peerId)
        this.#waiting.get(id)?.(answer)
        this.#waiting.delete(id)
      })
    }
  }

  get peerId(): Promise<string> {
    return this.#ready.promise
  }

  async obey<T>(order: Order): Promise<T> {
    await this.#ready.promise
    const id = this.#orders++
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.#waiting.set(id, resolve)
    this.#child.stdin?.write(`${JSON.stringify({ id, order })}\n`)
    return (await promise) as T
  }

  facts(): Promise<Facts> {
    return this.obey({ do: 'facts' })
  }

  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal)
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }
}
