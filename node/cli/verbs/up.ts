/** `talkoot up`: the node of this machine, in the foreground or not. */

import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs'
import type { Command } from 'commander'
import { pino } from 'pino'
import { tokenRequestSchema } from '../../../protocol/api-tokens.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import type { StatePaths } from '../../../protocol/home.ts'
import { loadSettings, type SettingsInput } from '../../config.ts'
import type { RunningNode } from '../../daemon.ts'
import type { Act, Context } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { parseCount, parseMebibytes } from '../quantities.ts'
import { parentOf, spawnNode } from '../supervision.ts'
import { type UpFacts, upView } from './up-view.ts'

type Options = {
  detach?: boolean
  join?: string
  name?: string
  open?: boolean
  private?: boolean
  cores?: string
  mem?: string
  disk?: string
  port?: string
  listen?: string[]
  announce?: string[]
  label?: string[]
  share?: string[]
  python?: string
  mdns: boolean
  containers: boolean
  outboundOnly?: boolean
  apiPort?: string
}

/** Beyond this the log of earlier runs is set aside, once. */
const LOG_MAX_BYTES = 16 * 1024 * 1024

export function up(program: Command, act: Act): void {
  program
    .command('up')
    .description('run the node of this machine')
    .option('-d, --detach', 'in the background; returns when the node is up')
    .option('--join <token>', 'join the mesh of a token')
    .option('--name <name>', 'what this machine is called')
    .option('--private', 'a mesh founded now admits by token (default)')
    .option('--open', 'a mesh founded now admits anyone')
    .option('--cores <n>', 'units at once; 0 only submits')
    .option('--mem <size>', 'memory for all units: 4GiB')
    .option('--disk <size>', 'disk for the files of jobs: 10GiB (default: 1GiB)')
    .option('--port <n>', 'TCP port for other peers')
    .option('--listen <address...>', 'listen on these multiaddrs')
    .option('--announce <address...>', 'multiaddrs others should dial instead')
    .option('--label <k=v...>', 'facts for `require` and `rank`')
    .option('--share <who=n...>', 'weight of self, member, stranger or a peer id against others that want slots')
    .option('--python <whom>', 'run Python scripts of nobody (default), members or everybody')
    .option('--no-mdns', 'do not look for peers on the local network')
    .option('--no-containers', 'run no images, and do not look whether podman works')
    .option('--outbound-only', 'this machine cannot be dialled')
    .option('--api-port <n>', 'port of the local API')
    .action(
      act(async (context, options: Options) => {
        const settings = settingsOf(options)
        const spawned = parentOf(context.io.env) !== null
        return options.detach && !spawned ? detach(context) : foreground(context, options, settings)
      }),
    )
}

async function foreground(context: Context, { join }: Options, flags: SettingsInput): Promise<number> {
  const { io, output, paths } = context
  const parent = parentOf(io.env)
  const log = openLog(paths)
  try {
    const founds = join === undefined && !existsSync(paths.ledger)
    const settings = loadSettings(paths.config, flags)
    // Only here: every other verb does without the code of a node.
    const { startNode } = await import('../../daemon.ts')
    const starting = startNode({ paths, settings, join, log: pino({ level: 'info' }, pino.destination(log)) })
    const node = await unlessAborted(starting, context.signal)
    const facts = await factsOf(node, { founds, joins: join !== undefined, log: paths.log })
    if (parent === null) {
      await output.show(facts, upView)
      await output.note('\nrunning; Ctrl-C stops it')
    } else await parent.tell({ up: facts })
    await untilStopped(node, [io.interrupted, ...(parent?.bond === 'for-life' ? [parent.gone] : [])])
    await output.note('stopped')
    return EXIT.ok
  } catch (thrown) {
    await parent?.tell({ error: TalkootError.from(thrown).toObject() })
    throw thrown
  } finally {
    closeSync(log)
  }
}

async function detach({ io, output, paths, signal, argv }: Context): Promise<undefined> {
  const log = openLog(paths)
  try {
    const { report } = await spawnNode({ argv, env: io.env, bond: 'until-up', log, signal })
    await output.show(report as UpFacts, upView)
  } finally {
    closeSync(log)
  }
}

/** A node that comes up after it is no longer wanted is stopped. */
async function unlessAborted(starting: Promise<RunningNode>, signal: AbortSignal): Promise<RunningNode> {
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  if (signal.aborted) abort()
  else signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([starting, aborted.promise])
  } catch (error) {
    const late = await starting.catch(() => null)
    await late?.stop()
    throw error
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

async function factsOf(
  { services }: RunningNode,
  { founds, joins, log }: { founds: boolean; joins: boolean; log: string },
): Promise<UpFacts> {
  const status = services.status()
  const needsToken = founds && status.mesh.kind === 'private'
  const created = needsToken ? await services.createToken(tokenRequestSchema.parse({})) : null
  return { schema: 'talkoot.up/1', status, founded: founds, joined: joins, token: created?.token ?? null, log }
}

async function untilStopped(node: RunningNode, signals: readonly AbortSignal[]): Promise<void> {
  const unwanted = AbortSignal.any([...signals])
  const stop = () => void node.stop()
  if (unwanted.aborted) stop()
  else unwanted.addEventListener('abort', stop, { once: true })
  await node.stopped
}

function openLog({ state, log }: StatePaths): number {
  mkdirSync(state, { recursive: true, mode: 0o700 })
  if ((statSync(log, { throwIfNoEntry: false })?.size ?? 0) > LOG_MAX_BYTES) renameSync(log, `${log}.1`)
  return openSync(log, 'a', 0o600)
}

/** What is not said on the command line is left to config.json. */
function settingsOf(options: Options): SettingsInput {
  const { name, cores, mem, disk, port, listen, announce, label, share, outboundOnly, apiPort } = options
  if (options.open && options.private) throw new TalkootError('E_USAGE', 'a mesh is --open or --private')
  if (port !== undefined && listen !== undefined) throw new TalkootError('E_USAGE', 'give --port or --listen')
  const said: SettingsInput = {
    name,
    cpus: cores === undefined ? undefined : parseCount(cores),
    memoryMiB: mem === undefined ? undefined : parseMebibytes(mem),
    diskMiB: disk === undefined ? undefined : parseMebibytes(disk),
    listen: port === undefined ? listen : [`/ip4/0.0.0.0/tcp/${parseCount(port)}`],
    announce,
    labels: label === undefined ? undefined : Object.fromEntries(label.map((text) => parsePair('--label', text))),
    shares: share === undefined ? undefined : sharesOf(share),
    python: options.python === undefined ? undefined : parsePython(options.python),
    mdns: options.mdns ? undefined : false,
    containers: options.containers ? undefined : false,
    outboundOnly,
    mesh: options.open ? 'open' : options.private ? 'private' : undefined,
    apiPort: apiPort === undefined ? undefined : parseCount(apiPort),
  }
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined))
}

function parsePython(text: string): SettingsInput['python'] {
  if (text === 'nobody' || text === 'members' || text === 'everybody') return text
  throw new TalkootError('E_USAGE', `--python is nobody, members or everybody, not "${text}"`)
}

/** Classes by name, everybody else by peer id. */
function sharesOf(texts: readonly string[]): SettingsInput['shares'] {
  const pairs = texts.map((text) => {
    const [who, weight] = parsePair('--share', text)
    return [who, Number(weight)] as const
  })
  const isClass = ([who]: readonly [string, number]) => ['self', 'member', 'stranger'].includes(who)
  const classes = Object.fromEntries(pairs.filter(isClass))
  return { ...classes, peers: Object.fromEntries(pairs.filter((pair) => !isClass(pair))) }
}

function parsePair(option: string, text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new TalkootError('E_USAGE', `${option} is key=value, not "${text}"`)
  return [text.slice(0, at), text.slice(at + 1)]
}
