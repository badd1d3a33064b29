/**
 * What a node costs a machine that has nothing to do for it: twenty real nodes of one mesh, left alone, measured minute by minute. MB
 * are of 2^20 bytes.
 */

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { Lab, type NodeProcess, pause } from '../e2e/node-process.ts'

const NODES = 20
/** Searches slow down and memory is given back meanwhile. */
const SETTLE_MS = 120_000
const WINDOW_MS = 60_000
/** The first minutes may still be some of searches, or some that others had the cores in. */
const WINDOWS = 4
const HERE = { netns: `tk-idle-${process.pid}`, address: '10.212.0.1' }
const ELSEWHERE = { netns: `tk-idle-other-${process.pid}` }

const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' })

/** All nodes on one host of a LAN nobody else is on: its counters hold their traffic, headers included, and nothing else. */
function buildLan(): () => void {
  const remove = () => {
    for (const { netns } of [HERE, ELSEWHERE]) ip('netns', 'del', netns)
  }
  ip('netns', 'add', HERE.netns)
  ip('netns', 'add', ELSEWHERE.netns)
  try {
    ip('link', 'add', 'eth0', 'netns', HERE.netns, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', ELSEWHERE.netns)
    ip('-n', HERE.netns, 'addr', 'add', `${HERE.address}/24`, 'dev', 'eth0')
    ip('-n', HERE.netns, 'link', 'set', 'lo', 'up')
    for (const { netns } of [HERE, ELSEWHERE]) ip('-n', netns, 'link', 'set', 'eth0', 'up')
    ip('-n', HERE.netns, 'route', 'add', '224.0.0.0/4', 'dev', 'eth0')
  } catch (error) {
    remove()
    throw error
  }
  return remove
}

it(`an idle node among ${NODES} takes < 120 MB, < 1% of a core and < 5 kB/s`, { timeout: 600_000 }, async () => {
  let removeLan: () => void
  try {
    removeLan = buildLan()
  } catch (error) {
    console.warn(`not run: network namespaces cannot be made here: ${String(error).split('\n')[1]}`)
    return
  }
  try {
    await using lab = new Lab()
    const options = { netns: HERE.netns, mdns: true }
    const first = await lab.node('n0', [], options)
    const token = await first.token('--uses', String(NODES))
    const nodes = [first]
    while (nodes.length < NODES) nodes.push(await lab.node(`n${nodes.length}`, ['--join', token], options))
    for (const node of nodes.slice(-3)) await node.sees(NODES, 60_000)
    await pause(SETTLE_MS)
    let minute = await measure(nodes)
    for (let i = 1; i < WINDOWS && !isIdle(minute); i++) minute = await measure(nodes)
    expect(minute.rss).toBeLessThan(120)
    expect(minute.cpu).toBeLessThan(1)
    expect(minute.traffic).toBeLessThan(5)
  } finally {
    removeLan()
  }
})

type Minute = { rss: number; cpu: number; traffic: number }

const isIdle = ({ rss, cpu, traffic }: Minute): boolean => rss < 120 && cpu < 1 && traffic < 5

/** Of the node in the middle: MB, percent of a core; and kB/s, sent and received, of all on average. */
async function measure(nodes: readonly NodeProcess[]): Promise<Minute> {
  const [before, bytes] = [nodes.map(({ cpuMs }) => cpuMs), trafficBytes()]
  await pause(WINDOW_MS)
  const cpu = nodes.map((node, i) => ((node.cpuMs - (before[i] ?? 0)) / WINDOW_MS) * 100)
  const traffic = (trafficBytes() - bytes) / nodes.length / WINDOW_MS
  const rss = nodes.map(rssMB)
  console.info(
    `idle node among ${NODES}: RSS ${middle(rss)} MB (most ${Math.max(...rss)}), CPU ${middle(cpu).toFixed(2)}% ` +
      `(most ${Math.max(...cpu).toFixed(2)}), ${traffic.toFixed(2)} kB/s sent and received`,
  )
  return { rss: middle(rss), cpu: middle(cpu), traffic }
}

const middle = (numbers: number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN

function rssMB({ pid }: NodeProcess): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024)
}

/**
 * What all nodes sent and received: each byte over loopback is sent by one and received by another; each to the LAN's group is
 * sent by one and received by all.
 */
function trafficBytes(): number {
  const sent = (device: string) =>
    Number(ip('netns', 'exec', HERE.netns, 'cat', `/sys/class/net/${device}/statistics/tx_bytes`))
  return 2 * sent('lo') + (1 + NODES) * sent('eth0')
}
