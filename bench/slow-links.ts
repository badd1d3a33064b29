/** Machines on one switch, each behind a link of a given speed: network namespaces, a bridge, and the kernel's token bucket. */

import { execFileSync } from 'node:child_process'

export type Machine = { netns: string; address: string }

const run = (...[program = '', ...args]: string[]) => execFileSync(program, args, { stdio: 'pipe' })

/** @param megabits a second, out of each machine. @throws where namespaces cannot be made */
export function buildMachines(count: number, megabits: number): { machines: Machine[] } & Disposable {
  const names: string[] = []
  const remove = () => {
    for (const name of names) run('ip', 'netns', 'del', name)
  }
  const add = (name: string): string => {
    run('ip', 'netns', 'add', name)
    names.push(name)
    run('ip', '-n', name, 'link', 'set', 'lo', 'up')
    return name
  }
  try {
    const bridge = add(`tk-switch-${process.pid}`)
    run('ip', '-n', bridge, 'link', 'add', 'br0', 'type', 'bridge')
    run('ip', '-n', bridge, 'link', 'set', 'br0', 'up')
    const machines = Array.from({ length: count }, (_, at) => {
      const netns = add(`tk-node${at}-${process.pid}`)
      const address = `10.212.0.${at + 1}`
      run('ip', 'link', 'add', 'eth0', 'netns', netns, 'type', 'veth', 'peer', 'name', `port${at}`, 'netns', bridge)
      run('ip', '-n', bridge, 'link', 'set', `port${at}`, 'master', 'br0', 'up')
      run('ip', '-n', netns, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
      run('ip', '-n', netns, 'link', 'set', 'eth0', 'up')
      const bucket = ['rate', `${megabits}mbit`, 'burst', '128kb', 'latency', '50ms']
      run('ip', 'netns', 'exec', netns, 'tc', 'qdisc', 'add', 'dev', 'eth0', 'root', 'tbf', ...bucket)
      return { netns, address }
    })
    return { machines, [Symbol.dispose]: remove }
  } catch (cause) {
    remove()
    throw new Error('links of a given speed need root, iproute2 and network namespaces', { cause })
  }
}
