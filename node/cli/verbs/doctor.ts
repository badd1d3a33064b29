/** `talkoot doctor`: what works here, what does not, and what to do about it. */

import { mkdtempSync, rmSync, statfsSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { API, type Status, statusSchema } from '../../../protocol/api.ts'
import { peersSchema } from '../../../protocol/api-peers.ts'
import { type ErrorCode, TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Runtime, RuntimeProbe } from '../../runtimes/runtime.ts'
import type { Act, Context } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { bytes, plural } from '../render/figures.ts'
import { MOVES } from '../render/moves.ts'
import type { View } from '../render/view.ts'

type Check = {
  name: string
  state: 'ok' | 'warning' | 'bad'
  text: string
  /** What to do about it. */
  advice: string | null
}
type Findings = { schema: 'talkoot.doctor/1'; ok: boolean; checks: Check[] }

const DISK_FREE_MIN_BYTES = 1024 ** 3

export function doctor(program: Command, act: Act): void {
  program
    .command('doctor')
    .description('what works on this machine, and what to do about the rest')
    .action(
      act(async (context) => {
        const folder = stateFolder(context)
        const status = await nodeStatus(context)
        const checks = [folder, disk(context)]
        await context.output.note('trying what can run here: it takes a while, most of it for Python')
        // One after the other: they are as quick then as in a node that starts.
        for (const each of PROBES) checks.push(await probe(each))
        checks.push(...(await node(context, status)))
        const ok = checks.every(({ state }) => state !== 'bad')
        await context.output.show<Findings>({ schema: 'talkoot.doctor/1', ok, checks }, findingsView)
        return ok ? EXIT.ok : EXIT.internal
      }),
    )
}

const findingsView: View<Findings> = {
  ids: ({ checks }) => checks.filter(({ state }) => state !== 'ok').map(({ name }) => name),
  items: ({ checks }) => checks,
  text: ({ checks }, { colours }) => {
    const marks = { ok: colours.green('✔'), warning: colours.yellow('!'), bad: colours.red('✖') }
    const width = Math.max(...checks.map(({ name }) => name.length))
    return checks
      .flatMap(({ name, state, text, advice }) => [
        `${marks[state]} ${name.padEnd(width)}  ${text}`,
        ...(advice === null ? [] : [`  ${' '.repeat(width)}  → ${advice}`]),
      ])
      .join('\n')
  },
}

const good = (name: string, text: string): Check => ({ name, state: 'ok', text, advice: null })
const warning = (name: string, text: string, advice: string): Check => ({ name, state: 'warning', text, advice })
const bad = (name: string, text: string, advice: string): Check => ({ name, state: 'bad', text, advice })

function stateFolder({ paths }: Context): Check {
  const facts = statSync(paths.state, { throwIfNoEntry: false })
  if (facts === undefined) return good('State folder', `${paths.state}: made by the first \`talkoot up\``)
  const me = process.getuid?.()
  if (me !== undefined && facts.uid !== me) {
    return bad('State folder', `${paths.state} belongs to user ${facts.uid}`, 'choose another with TALKOOT_HOME')
  }
  if (me !== undefined && (facts.mode & 0o077) !== 0) {
    return bad('State folder', `${paths.state} is open to others`, `chmod 700 ${paths.state}`)
  }
  return good('State folder', `${paths.state}: yours and private`)
}

function disk({ paths }: Context): Check {
  const place = statSync(paths.state, { throwIfNoEntry: false }) === undefined ? tmpdir() : paths.state
  const { bavail, bsize } = statfsSync(place)
  const free = bavail * bsize
  if (free >= DISK_FREE_MIN_BYTES) return good('Disk', `${bytes(free)} free`)
  return warning('Disk', `only ${bytes(free)} free`, 'make room: a full disk stops jobs')
}

/** What runs units of some kind. */
type Probe = {
  name: string
  open(init: { scratchDir: string }): Promise<Runtime>
  works(probe: RuntimeProbe): Check
  /** What is wrong when it does not say itself. */
  otherwise: ErrorCode
  timeoutMs: number
}

const PROBES: readonly Probe[] = [
  {
    name: 'Sandbox',
    open: async (init) => (await import('../../runtimes/js/runtime.ts')).createJsRuntime(init),
    works: ({ version, confinement, uid, warning: why }) => {
      const runs = `deno ${version} runs units as user ${uid}`
      if (confinement === 'os') return good('Sandbox', `${runs}, in bubblewrap`)
      const advice = 'install bubblewrap and allow user namespaces; until then only members’ work is run'
      return warning('Sandbox', `${runs}, without bubblewrap${why === undefined ? '' : `: ${why}`}`, advice)
    },
    otherwise: 'E_RUNTIME_MISSING',
    timeoutMs: LIMITS.PROBE_TIMEOUT_MS,
  },
  {
    name: 'Python',
    open: async (init) => (await import('../../runtimes/python/runtime.ts')).createPythonRuntime(init),
    works: ({ version }) =>
      good('Python', `Pyodide ${version} runs in the sandbox, for whom \`talkoot up --python\` names`),
    otherwise: 'E_RUNTIME_MISSING',
    timeoutMs: LIMITS.PYTHON_SNAPSHOT_TIMEOUT_MS,
  },
  {
    name: 'Programs',
    open: async (init) => (await import('../../runtimes/command/runtime.ts')).createCommandRuntime(init),
    works: ({ uid, deterministic }) => {
      const bits = deterministic ? '' : '; not made deterministic'
      return good('Programs', `run as user ${uid}, in bubblewrap${bits}`)
    },
    otherwise: 'E_NATIVE_PLATFORM',
    timeoutMs: LIMITS.PROBE_TIMEOUT_MS,
  },
  {
    name: 'Containers',
    open: async (init) => (await import('../../runtimes/container/runtime.ts')).createContainerRuntime(init),
    works: ({ uid, version }) => good('Containers', `run as user ${uid}, by podman ${version}; not made deterministic`),
    otherwise: 'E_CONTAINER_UNUSABLE',
    timeoutMs: LIMITS.PROBE_TIMEOUT_MS,
  },
]

/** Runs a unit, as the node would. Without a sandbox nothing is run; the rest is for whom it is there. */
async function probe({ name, open, works, otherwise, timeoutMs }: Probe): Promise<Check> {
  const scratchDir = mkdtempSync(join(tmpdir(), 'talkoot-doctor-'))
  const runtime = await open({ scratchDir })
  try {
    return works(await runtime.probe(AbortSignal.timeout(timeoutMs)))
  } catch (thrown) {
    const { code, message, mover, hint } = TalkootError.from(thrown, otherwise)
    const fault = name === 'Sandbox' ? bad : warning
    return fault(name, `${code}: ${message}`, `${MOVES[mover]}: ${hint}`)
  } finally {
    await runtime.stop()
    rmSync(scratchDir, { recursive: true, force: true })
  }
}

async function nodeStatus({ client, signal }: Context): Promise<Status | TalkootError> {
  try {
    return await client.request(API.status, statusSchema, { signal })
  } catch (thrown) {
    signal.throwIfAborted()
    return TalkootError.from(thrown)
  }
}

async function node({ client, signal }: Context, status: Status | TalkootError): Promise<Check[]> {
  if (status instanceof TalkootError) return [warning('Node', status.message, status.hint)]
  const { peers } = await client.request(API.peers, peersSchema, { signal })
  const checks = [good('Node', `${status.name} runs as process ${status.pid}`)]
  checks.push(
    status.peers > 0
      ? good('Peers', `${plural(status.peers, 'peer')} connected`)
      : warning(
          'Peers',
          'none is connected',
          'add a machine: `talkoot token create` here, `talkoot up --join TOKEN` there',
        ),
  )
  const dialled = peers.some(({ direction }) => direction === 'inbound')
  const self = peers.find((peer) => peer.self)
  if (self?.ad?.reach === 'outbound') checks.push(good('Reachable', 'dials out only, as told'))
  else if (dialled) checks.push(good('Reachable', 'peers have dialled this machine'))
  else {
    const advice = 'if others cannot join through this machine, open its port or use --announce'
    checks.push(warning('Reachable', `nobody has dialled ${status.listen.join(' ')} yet`, advice))
  }
  for (const text of status.warnings) checks.push(warning('Node', text, 'see above'))
  return checks
}
