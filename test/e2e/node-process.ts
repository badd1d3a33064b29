/** Real nodes as processes: started through the program itself, watched, and always ended. */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import type { SettingsInput } from '../../node/config.ts'
import { API, addressFileSchema } from '../../protocol/api.ts'
import { type Peers, peersSchema } from '../../protocol/api-peers.ts'
import { Client } from '../../sdk/client.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const PROGRAM = join(ROOT, 'bin/talkoot.js')
const ALTERED = join(ROOT, 'test/e2e/altered-node.ts')
const START_DEADLINE_MS = 200_000

export type Output = { code: number | null; stdout: string; stderr: string }

/** `settings` is what its config.json holds. */
type LabOptions = {
  netns?: string
  program?: string[]
  /** Of the node, beside this process's own. */
  env?: NodeJS.ProcessEnv
  mdns?: boolean
  /** Looks whether podman works, which takes a while. */
  containers?: boolean
  settings?: SettingsInput
}

/** `kind`: as altered-node.ts lists them. */
type Altered = { token: string; kind: string; folder?: string }

/** A folder for state folders and logs, and the processes that use it; `dispose` ends and removes all. */
export class Lab implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'talkoot-e2e-'))
  readonly #nodes: NodeProcess[] = []

  constructor() {
    // Where root's nodes keep what the user that units run as must reach: theirs when they are killed, so ours to remove.
    mkdirSync(temporaryOf(join(this.folder, 'node')))
    chmodSync(this.folder, 0o755)
  }

  /** Starts a node and waits until it answers. `program` replaces the program. */
  async node(
    name: string,
    args: string[] = [],
    { mdns = false, containers = false, settings, ...options }: LabOptions = {},
  ): Promise<NodeProcess> {
    const listen = options.netns === undefined ? ['--listen', '/ip4/127.0.0.1/tcp/0'] : []
    const without = [...(mdns ? [] : ['--no-mdns']), ...(containers ? [] : ['--no-containers'])]
    const up = ['up', '--name', name, ...without, ...listen, ...args]
    const node = new NodeProcess(join(this.folder, name), { up, ...options })
    this.#nodes.push(node)
    if (settings !== undefined) {
      mkdirSync(node.home, { mode: 0o700 })
      writeFileSync(join(node.home, 'config.json'), JSON.stringify(settings))
    }
    await node.start()
    return node
  }

  /** One that does not tell the truth, in a way of its own; with others in a folder they share, if its kind plots. */
  async alteredNode(name: string, { token, kind, folder = '' }: Altered): Promise<NodeProcess> {
    return await this.node(name.replaceAll(/\W+/g, '-'), [], { program: [ALTERED, name, token, kind, folder] })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.kill('SIGKILL')))
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export class NodeProcess {
  readonly home: string
  readonly #up: string[]
  readonly #netns: string | undefined
  readonly #program: string[]
  readonly #moreEnv: NodeJS.ProcessEnv
  #process: ChildProcess | null = null

  constructor(home: string, init: { up: string[]; netns?: string; program?: string[]; env?: NodeJS.ProcessEnv }) {
    this.home = home
    this.#up = init.up
    this.#netns = init.netns
    this.#program = init.program ?? [PROGRAM]
    this.#moreEnv = init.env ?? {}
  }

  get name(): string {
    return basename(this.home)
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  /** CPU time of its process so far, user's and system's, ms in steps of 10. Linux only: of proc(5). */
  get cpuMs(): number {
    const [, fields = ''] = readFileSync(`/proc/${this.pid}/stat`, 'utf8').split(') ')
    const [user, system] = fields.split(' ').slice(11, 13).map(Number)
    return 10 * ((user ?? 0) + (system ?? 0))
  }

  get log(): string {
    return existsSync(`${this.home}.log`) ? readFileSync(`${this.home}.log`, 'utf8') : ''
  }

  /** Also starts it again after a kill. */
  async start(): Promise<void> {
    const [command, ...args] = this.#commandLine([...this.#program, ...this.#up])
    const child = spawn(command ?? '', args, { env: this.#env(), stdio: ['ignore', 'pipe', 'pipe'] })
    const log = createWriteStream(`${this.home}.log`, { flags: 'a' })
    child.stdout.pipe(log, { end: false })
    child.stderr.pipe(log, { end: false })
    child.once('exit', () => log.end())
    this.#process = child
    await until(`${this.#up.join(' ')} to answer:\n${this.log}`, START_DEADLINE_MS, () => {
      if (child.exitCode !== null) throw new Error(`the node ended with ${child.exitCode}:\n${this.log}`)
      // It is written once the API answers.
      return this.#address()?.pid === child.pid
    })
  }

  /** Runs the program on this node's state folder. */
  run(args: string[], options: { timeoutMs?: number; cwd?: string } = {}): Promise<Output> {
    const [command, ...rest] = this.#commandLine([PROGRAM, ...args])
    return new Promise((resolve) => {
      execFile(
        command ?? '',
        rest,
        { env: this.#env(), cwd: options.cwd, timeout: options.timeoutMs ?? 200_000, maxBuffer: 64 * 2 ** 20 },
        (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
      )
    })
  }

  /** Runs it and reads what it printed as JSON. */
  async json<T = Record<string, unknown>>(args: string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run([...args, '--json'])
    if (code !== 0) throw new Error(`talkoot ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`)
    return JSON.parse(stdout)
  }

  async peers(): Promise<Peers> {
    return peersSchema.parse(await this.json(['peers']))
  }

  /** The same over its API, without a process for it. */
  async askPeers(): Promise<Peers['peers']> {
    return (await new Client({ home: this.home }).request(API.peers, peersSchema)).peers
  }

  /** Waits until this node is connected to so many peers, itself included. */
  async sees(count: number, deadlineMs = 90_000): Promise<void> {
    await until(`${this.home} to see ${count} peers`, deadlineMs, async () => {
      // From here its API is not to be reached in a network of its own.
      const peers = this.#netns === undefined ? await this.askPeers() : (await this.peers()).peers
      return peers.filter(({ connected }) => connected).length === count
    })
  }

  async token(...args: string[]): Promise<string> {
    const { token } = await this.json<{ token: string }>(['token', 'create', ...args])
    return token
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  #commandLine(args: string[]): string[] {
    const inside = this.#netns === undefined ? [] : ['ip', 'netns', 'exec', this.#netns]
    return [...inside, process.execPath, '--disable-warning=ExperimentalWarning', ...args]
  }

  #env(): NodeJS.ProcessEnv {
    return { ...process.env, TALKOOT_HOME: this.home, TMPDIR: temporaryOf(this.home), NO_COLOR: '1', ...this.#moreEnv }
  }

  #address() {
    try {
      return addressFileSchema.parse(JSON.parse(readFileSync(join(this.home, 'api.json'), 'utf8')))
    } catch {
      return null
    }
  }
}

const temporaryOf = (home: string): string => join(dirname(home), 'tmp')

const POLL_MS = 50

/** For what is measured over a time; never in place of waiting for what can be asked. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Asks again and again until the answer is yes; says what it waited for when the deadline passes. */
export async function until(what: string, deadlineMs: number, ask: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!(await ask())) {
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms for ${what}`)
    await pause(POLL_MS)
  }
}
