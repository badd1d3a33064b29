/** Nodes of one mesh in this process, on loopback, in a temporary folder. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { API, statusSchema } from '../protocol/api.ts'
import { tokenCreatedSchema } from '../protocol/api-tokens.ts'
import { TalkootError } from '../protocol/errors.ts'
import { statePaths } from '../protocol/home.ts'
import { LIMITS } from '../protocol/limits.ts'
import { type Address, Client } from './client.ts'

export type LocalOptions = {
  /** @default 1 */
  nodes?: number
  /** Units each node runs at once. @default 1 */
  cpus?: number
  /** Whether they run Python scripts; they say so some seconds later: submit with `queue`. @default false */
  python?: boolean
}

/** The first makes the mesh, the others join it. Stopping ends them and removes the folder. */
export async function startLocalNodes({ nodes = 1, cpus = 1, python = false }: LocalOptions): Promise<{
  address: Address
  stop: () => Promise<void>
}> {
  await using started = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'talkoot-'))
  started.defer(() => rm(folder, { recursive: true, force: true }))
  // Loaded here and not above: a node is many times the code of this SDK, and who only connects needs none of it.
  const { startNode } = await import('../node/daemon.ts')
  const { settingsSchema } = await import('../node/config.ts')
  const { pino } = await import('pino')
  const start = async (index: number, token: string | undefined): Promise<Address> => {
    const name = `local-${index + 1}`
    const own = { name, cpus, python: python ? 'members' : 'nobody', containers: false }
    const settings = settingsSchema.parse({ ...own, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false })
    const paths = statePaths({ TALKOOT_HOME: join(folder, name) })
    const node = await startNode({ paths, settings, join: token, log: pino({ level: 'silent' }) })
    started.defer(() => node.stop())
    return node.api
  }
  const address = await start(0, undefined)
  const client = new Client(address)
  for (let index = 1; index < nodes; index += 1) {
    const { token } = await client.request(API.tokens, tokenCreatedSchema, { method: 'POST', body: {} })
    await start(index, token)
  }
  await untilConnected(client, nodes - 1)
  const running = started.move()
  return { address, stop: () => running.disposeAsync() }
}

const POLL_MS = 20

/** Joining ends at the node that joins; the first hears of it a moment later. */
async function untilConnected(client: Client, peers: number): Promise<void> {
  const deadline = performance.now() + LIMITS.JOIN_TIMEOUT_MS
  for (;;) {
    const status = await client.request(API.status, statusSchema)
    if (status.peers >= peers) return
    if (performance.now() > deadline) {
      throw new TalkootError('E_UNREACHABLE', `${status.peers} of ${peers} local nodes found their way`)
    }
    await wait(POLL_MS)
  }
}
