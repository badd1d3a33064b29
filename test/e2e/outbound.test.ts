/** A worker that nobody can dial does its share, over the connections it opens itself. Two hosts in network namespaces. */

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { Lab } from './node-process.ts'

const TASK = fileURLToPath(new URL('./tasks/slow-square.task.ts', import.meta.url))
const OFFICE = { netns: `tk-office-${process.pid}`, address: '10.211.0.1' }
const CELLAR = { netns: `tk-cellar-${process.pid}`, address: '10.211.0.2' }

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'pipe' })

/** The office can be dialled; the cellar drops whatever comes in that it did not ask for. */
function buildHosts(): () => void {
  ip('netns', 'add', OFFICE.netns)
  ip('netns', 'add', CELLAR.netns)
  ip('link', 'add', 'eth0', 'netns', OFFICE.netns, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', CELLAR.netns)
  for (const { netns, address } of [OFFICE, CELLAR]) {
    ip('-n', netns, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
    ip('-n', netns, 'link', 'set', 'eth0', 'up')
    ip('-n', netns, 'link', 'set', 'lo', 'up')
  }
  ip('netns', 'exec', CELLAR.netns, 'iptables', '-A', 'INPUT', '-i', 'eth0', '-p', 'tcp', '--syn', '-j', 'DROP')
  return () => {
    for (const { netns } of [OFFICE, CELLAR]) ip('netns', 'del', netns)
  }
}

function canBuildHosts(): string | null {
  try {
    buildHosts()()
    return null
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[1] ?? error.message) : String(error)
  }
}

it.each([
  ['says so', ['--outbound-only']],
  ['does not know it', ['--listen', `/ip4/${CELLAR.address}/tcp/4801`]],
])('a worker behind a firewall that %s runs units of two submitters', async (_, flags) => {
  const obstacle = canBuildHosts()
  if (obstacle !== null) {
    console.warn(`not run: network namespaces cannot be made here: ${obstacle}`)
    return
  }
  const removeHosts = buildHosts()
  try {
    await using lab = new Lab()
    const inOffice = (port: number) => ['--cores', '0', '--listen', `/ip4/${OFFICE.address}/tcp/${port}`]
    const first = await lab.node('first', inOffice(4801), { netns: OFFICE.netns })
    // Joins by way of the first, and learns of the second from the mesh alone.
    const worker = await lab.node('worker', ['--cores', '1', ...flags, '--join', await first.token()], {
      netns: CELLAR.netns,
    })
    const second = await lab.node('second', [...inOffice(4802), '--join', await first.token()], { netns: OFFICE.netns })
    for (const submitter of [first, second]) {
      await submitter.sees(3, 90_000)
      const args = ['run', TASK, '--param', 'x=0:40:1', '--param', 'ms=1', '--output', 'jsonl']
      const { code, stdout, stderr } = await submitter.run(args)
      expect(code, stderr).toBe(0)
      expect(stdout.trim().split('\n')).toHaveLength(40)
    }
    const { working } = await worker.json<{ working: { total: number } }>(['status'])
    expect(working.total).toBe(80)
  } finally {
    removeHosts()
  }
})
