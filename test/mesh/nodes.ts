/** Real mesh nodes on loopback for tests: made small, stopped after each test, awaited by condition with a deadline. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach } from 'vitest'
import { createMesh, type MeshInit, type MeshNode } from '../../node/mesh/create.ts'
import type { HostInit } from '../../node/mesh/host.ts'
import { loadIdentity } from '../../node/mesh/identity.ts'
import { Refusals } from '../../node/mesh/refusals.ts'
import { routingTableOf } from '../../node/mesh/routing-table.ts'
import { Session } from '../../node/mesh/session.ts'
import type { MeshStore } from '../../node/mesh/store.ts'
import { signerOf } from '../../protocol/signatures.ts'
import { AD } from './ad.ts'
import { memoryMeshStore } from './memory-store.ts'

const running: { stop(): Promise<void> }[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

const DHT = { kBucketSize: 8, alpha: 3, disjointPaths: 1, reach: 'lan' as const }
const HOST: HostInit = { listen: ['/ip4/127.0.0.1/tcp/0'], announce: [], outboundOnly: false, mdns: false, dht: DHT }

export async function startNode(init: Partial<MeshInit> = {}, store: MeshStore = memoryMeshStore()): Promise<MeshNode> {
  const node = await createMesh(
    { store },
    {
      describe: () => AD,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      mdns: false,
      dht: DHT,
      ...init,
    },
  )
  running.push(node)
  await node.start()
  return node
}

/** A member in a process of its own, killed after the test if it is still there. */
export async function startProcess(token: string): Promise<{ child: ChildProcess; peerId: string }> {
  const script = fileURLToPath(new URL('member-process.ts', import.meta.url))
  const child = spawn(process.execPath, [script, token], { stdio: ['ignore', 'pipe', 'inherit'] })
  running.push({
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  })
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('ready ')) return { child, peerId: line.slice('ready '.length) }
  }
  throw new Error('the member process ended')
}

export const HOUR_MS = 3_600_000

/** A node that has joined the mesh of `admin` and sees it. */
export async function startMember(
  admin: MeshNode,
  role: 'admin' | 'member' | 'worker' = 'member',
  init: Partial<MeshInit> = {},
): Promise<MeshNode> {
  const node = await startNode(init)
  await node.join(admin.createToken({ uses: 1, ttlMs: HOUR_MS, role }).text, deadline())
  await until(() => sees(node, admin) && sees(admin, node))
  return node
}

/**
 * A member in the rough, with its libp2p host in reach: for misbehaving, and for looking under the hood.
 * @param alter what is to be different of it, before it starts
 */
export async function startSession(
  admin: MeshNode,
  init: Partial<HostInit> = {},
  alter: (session: Session) => void = () => undefined,
): Promise<Session> {
  const store = memoryMeshStore()
  const joiner = await createMesh({ store }, { describe: () => AD })
  await joiner.join(admin.createToken({ uses: 1, ttlMs: HOUR_MS, role: 'member' }).text, deadline())
  const facts = store.mesh()
  if (facts === undefined) throw new Error('joining kept no mesh')
  const key = await loadIdentity(store)
  const session = await Session.open(
    { store, key, signer: signerOf(key), refusals: new Refusals(), describe: () => AD, emit: () => undefined },
    { ...HOST, ...init },
    facts,
  )
  running.push(session)
  alter(session)
  await session.start(new Map())
  await until(() => session.peers.get(admin.peerId) !== undefined && sees(admin, { peerId: joiner.peerId }))
  return session
}

export const SLOW_TABLE_MS = 1_500

/** As on a machine that reads its libraries from a cold disk: the DHT knows nobody until long after the first peer was met. */
export function slowTable({ host }: Session): void {
  const { kb } = routingTableOf(host)
  const verify = kb.verify.bind(kb)
  kb.verify = async (contact, options) => {
    await new Promise((resolve) => setTimeout(resolve, SLOW_TABLE_MS))
    return await verify(contact, options)
  }
}

export const sees = (node: MeshNode, other: { peerId: string }) => node.peers().some(({ id }) => id === other.peerId)

export const deadline = (ms = 60_000) => AbortSignal.timeout(ms)

/** Resolves when the condition holds, looked at every few milliseconds. Rejects at the deadline. */
export async function until(condition: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  const end = performance.now() + ms
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** What a promise was rejected with, as a code. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'no error'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}
