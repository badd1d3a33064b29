/** Nodes of one mesh in this process, on loopback, in a temporary folder. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Address } from './client.ts'

export type LocalOptions = {
  /** @default 1 */
  nodes?: number
  /** Units each node runs at once. @default 1 */
  cpus?: number
}

/** What is used of a node: the composition root starts it. */
type RunningNode = { api: Address; createToken(): Promise<string>; stop(): Promise<void> }
type StartNode = (init: {
  home: string
  join?: string
  cpus?: number
  listen?: string[]
  mdns?: boolean
}) => Promise<RunningNode>

/** The first makes the mesh, the others join it. Stopping ends them and removes the folder. */
export async function startLocalNodes({ nodes = 1, cpus = 1 }: LocalOptions): Promise<{
  address: Address
  stop: () => Promise<void>
}> {
  await using started = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'talkoot-'))
  started.defer(() => rm(folder, { recursive: true, force: true }))
  // Not loaded by those who only connect: a node is a hundred times the code of this SDK.
  const daemon = new URL('../node/daemon.ts', import.meta.url).href
  const { startNode } = (await import(daemon)) as { startNode: StartNode }
  const start = async (index: number, token?: string): Promise<RunningNode> => {
    const init = { home: join(folder, `node-${index}`), cpus, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false }
    const node = await startNode(token === undefined ? init : { ...init, join: token })
    started.defer(() => node.stop())
    return node
  }
  const first = await start(0)
  for (let i = 1; i < nodes; i += 1) await start(i, await first.createToken())
  const running = started.move()
  return { address: first.api, stop: () => running.disposeAsync() }
}
