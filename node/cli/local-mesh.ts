/** A mesh of three nodes, each a process of its own, on loopback, in a temporary folder. */

import type { ChildProcess } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { API } from '../../protocol/api.ts'
import { peersSchema } from '../../protocol/api-peers.ts'
import { tokenCreatedSchema } from '../../protocol/api-tokens.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { Client } from '../../sdk/client.ts'
import { endProcess, spawnNode } from './supervision.ts'

/** In the order they are started. */
export const NAMES = ['alder', 'birch', 'cedar'] as const

type LocalMesh = AsyncDisposable & {
  /** The state folder of the first node. */
  home: string
  /** Its API. */
  client: Client
}

type Init = { env: Readonly<Record<string, string | undefined>>; signal: AbortSignal }

const POLL_MS = 50
/** They meet within seconds; where all is read from a slow disk for the first time, and introductions are lost, searches follow. */
const MEET_TIMEOUT_MS = 90_000

/**
 * The second node joins with a token of the first, the third with one of the second: it is told nobody else's
 * address, and introduced to the first. Returns when all see one another.
 */
export async function startLocalMesh({ env, signal }: Init): Promise<LocalMesh> {
  await using started = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'talkoot-demo-'))
  started.defer(() => rmSync(folder, { recursive: true, force: true }))
  const clients: Client[] = []
  const children: ChildProcess[] = []
  started.defer(() => Promise.all(children.map(endProcess)).then(() => undefined))
  let token: string | null = null
  for (const name of NAMES) {
    const home = join(folder, name)
    const log = openSync(`${home}.log`, 'a', 0o600)
    started.defer(() => closeSync(log))
    const argv = ['up', '--name', name, '--cores', '1', '--no-mdns', '--listen', '/ip4/127.0.0.1/tcp/0']
    if (token !== null) argv.push('--join', token)
    const bound = { env: { ...env, TALKOOT_HOME: home }, bond: 'for-life', log, signal } as const
    const { child } = await spawnNode({ argv, ...bound })
    children.push(child)
    const client = new Client({ home })
    clients.push(client)
    // Of role admin: each node admits the next one.
    const body = { role: 'admin' }
    const created = await client.request(API.tokens, tokenCreatedSchema, { method: 'POST', body, signal })
    token = created.token
  }
  const [client] = clients
  if (client === undefined) throw new Error('no node was started')
  const late = AbortSignal.timeout(MEET_TIMEOUT_MS)
  await untilAllMeet(clients, AbortSignal.any([signal, late])).catch((error: unknown) => {
    if (!late.aborted) throw error
    throw new TalkootError('E_MESH_UNREACHABLE', `the nodes did not all meet within ${MEET_TIMEOUT_MS / 1_000} s`)
  })
  const running = started.move()
  const [first] = NAMES
  return { home: join(folder, first), client, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

async function untilAllMeet(clients: readonly Client[], signal: AbortSignal): Promise<void> {
  for (const client of clients) {
    for (;;) {
      const { peers } = await client.request(API.peers, peersSchema, { signal })
      if (peers.filter(({ connected }) => connected).length === clients.length) break
      await wait(POLL_MS, undefined, { signal })
    }
  }
}
