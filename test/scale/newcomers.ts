/**
 * A mesh of real nodes, each a process of its own, and how soon newcomers find their way in it, whole and with many gone.
 *
 * A peer counts as *found* when `talkoot peers` lists it with its own ad, signed by it and checked with its certificates, and the ad
 * matches what a job asks for: js, and a core to run it. Peers that are killed or stopped never count.
 */

import type { SettingsInput } from '../../node/config.ts'
import { Lab, type NodeProcess, pause, until } from '../e2e/node-process.ts'

export type Plan = {
  nodes: number
  newcomers: number
  /** Peers that a newcomer is to find. */
  wanted: number
  killed: number
  stopped: number
  /** Nodes that start at the same time. */
  atOnce: number
  /** How much the DHT of each does: `dht` of the settings. */
  dht: 'full' | 'light'
}

/** Milliseconds, of each newcomer. */
export type Times = {
  /** From when its API answers, which is when it has joined, until it has found as many as wanted. */
  found: number[]
  /** From the start of its process, to the same. */
  foundFromStart: number[]
  /** From when its API answers until it is connected to as many; Infinity: not within half a minute. */
  connected: number[]
}

export type Report = {
  startMs: number
  whole: Times
  /** With those killed and stopped that were to be. */
  reduced: Times
  /** From when they were killed and stopped until no living node lists any of them. */
  goneMs: number
}

const POLL_MS = 20
const SETTLE_DEADLINE_MS = 480_000
const CONNECTED_DEADLINE_MS = 30_000
/** A mesh is at rest when its nodes take no more than an idle one may, on average over such a time: 1% of a core. */
const REST = { share: 0.01, overMs: 5_000, deadlineMs: 900_000 }

export async function measureNewcomers(plan: Plan, say: (line: string) => void): Promise<Report> {
  await using lab = new Lab()
  const settings = { dht: plan.dht }
  const first = await lab.node('n0', [], { settings })
  const token = await first.token('--uses', String(plan.nodes + 2 * plan.newcomers))
  const nodes = [first]
  const dead = new Set<string>()
  const began = performance.now()
  let started = 1
  const startSome = async () => {
    while (started < plan.nodes) {
      const name = `n${started++}`
      nodes.push(await lab.node(name, ['--join', token], { settings }))
    }
  }
  await Promise.all(Array.from({ length: plan.atOnce }, startSome))
  const startMs = performance.now() - began
  say(`${nodes.length} nodes started in ${seconds(startMs)}`)
  for (const node of nodes) {
    await until(`${node.name} to be connected to ${plan.wanted}`, SETTLE_DEADLINE_MS, async () => {
      return (await node.askPeers()).filter(({ self, connected }) => !self && connected).length >= plan.wanted
    })
  }
  say(`each is connected to ${plan.wanted} or more after ${seconds(performance.now() - began)}`)

  const enter = async (kind: string): Promise<Times> => {
    const times: Times = { found: [], foundFromStart: [], connected: [] }
    for (let i = 0; i < plan.newcomers; i++) {
      if (kind === 'whole') await rest(nodes, say)
      nodes.push(await newcomer(lab, { name: `${kind}${i}`, token, wanted: plan.wanted, dead, settings }, times))
    }
    for (const [what, of] of Object.entries(times)) say(`${kind}, ${what}: ${of.map(Math.round).join(', ')} ms`)
    return times
  }
  const whole = await enter('whole')

  // Not the first, whose address is in the token.
  const chosen = nodes.slice(1, plan.nodes).filter((_, i) => i % 2 === 0)
  const killed = chosen.slice(0, plan.killed)
  const stopped = chosen.slice(plan.killed, plan.killed + plan.stopped)
  if (stopped.length < plan.stopped) throw new RangeError('too few nodes for so many dead')
  for (const { name } of [...killed, ...stopped]) dead.add(name)
  await Promise.all(killed.map((node) => node.kill('SIGKILL')))
  for (const { pid } of stopped) process.kill(pid, 'SIGSTOP')
  const diedAt = performance.now()
  const reduced = await enter('reduced')

  const living = nodes.filter(({ name }) => !dead.has(name))
  await until('the dead to leave every list', 180_000, async () => {
    for (const node of living) if ((await node.askPeers()).some(({ name }) => dead.has(name))) return false
    return true
  })
  const goneMs = performance.now() - diedAt
  say(`the dead left the lists of all ${living.length} living within ${seconds(goneMs)}`)
  return { startMs, whole, reduced, goneMs }
}

async function rest(nodes: readonly NodeProcess[], say: (line: string) => void): Promise<void> {
  const began = performance.now()
  let share = Number.POSITIVE_INFINITY
  await until('the mesh to be at rest', REST.deadlineMs, async () => {
    const before = nodes.map(({ cpuMs }) => cpuMs)
    await pause(REST.overMs)
    const spent = nodes.reduce((sum, { cpuMs }, i) => sum + cpuMs - (before[i] ?? 0), 0)
    share = spent / REST.overMs / nodes.length
    return share <= REST.share
  })
  say(`at rest after ${seconds(performance.now() - began)}: ${(100 * share).toFixed(2)}% of a core each`)
}

export const median = (of: readonly number[]): number => of.toSorted((a, b) => a - b)[of.length >> 1] ?? Number.NaN

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`

type Entry = Pick<Plan, 'wanted'> & { name: string; token: string; dead: ReadonlySet<string>; settings: SettingsInput }

async function newcomer(lab: Lab, { name, token, wanted, dead, settings }: Entry, times: Times): Promise<NodeProcess> {
  const startedAt = performance.now()
  const node = await lab.node(name, ['--join', token], { settings })
  const answeredAt = performance.now()
  let found = false
  for (;;) {
    const peers = (await node.askPeers()).filter(
      (peer) =>
        !peer.self && !dead.has(peer.name) && peer.ad?.runtimes.some(({ kind }) => kind === 'js') && peer.ad.cpus > 0,
    )
    const now = performance.now()
    if (!found && peers.length >= wanted) {
      found = true
      times.found.push(now - answeredAt)
      times.foundFromStart.push(now - startedAt)
    }
    if (peers.filter(({ connected }) => connected).length >= wanted) {
      times.connected.push(now - answeredAt)
      return node
    }
    if (now - answeredAt > CONNECTED_DEADLINE_MS) {
      if (!found) throw new Error(`${name} found ${peers.length} peers`)
      times.connected.push(Number.POSITIVE_INFINITY)
      return node
    }
    await pause(POLL_MS)
  }
}
