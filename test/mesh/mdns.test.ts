import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const NETWORK = [
  'ip link set lo up',
  'ip link add lan type veth peer name far',
  'ip address add 10.99.0.1/24 dev lan',
  'ip link set lan up multicast on',
  'ip link set far up',
  'ip route add 224.0.0.0/4 dev lan',
].join(' && ')

/** Runs a command line in a network namespace of its own; it goes with its last process. */
const inNamespace = (command: string, timeout: number) =>
  spawnSync('unshare', ['--net', 'sh', '-c', `${NETWORK} && ${command}`], { encoding: 'utf8', timeout })

const script = fileURLToPath(new URL('mdns-process.ts', import.meta.url))
const meet = (mdns: string, timeout: number) =>
  inNamespace(`exec ${process.execPath} ${script} /ip4/10.99.0.1/tcp/0 ${mdns}`, timeout)

test('members on one LAN meet again by mDNS when no address they remember holds', () => {
  const probe = inNamespace('true', 5_000)
  if (probe.status !== 0) {
    console.warn(`not run: a network namespace with multicast cannot be made here (${probe.stderr.trim()})`)
    return
  }
  expect(meet('mdns', 30_000).stdout).toBe('met\n')
  expect(meet('no', 6_000).stdout).toBe('')
})
