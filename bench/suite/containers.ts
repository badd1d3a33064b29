/** Units in containers beside `podman run` of the same image with the same limits, turn by turn. */

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createContainerRuntime } from '../../node/runtimes/container/runtime.ts'
import { imageShell, makeImage } from '../../test/runtimes/image.ts'
import { drain } from '../bare-slots.ts'
import { type Benchmark, type Sample, timed } from '../benchmark.ts'

const execute = promisify(execFile)
const DEADLINE_MS = 60_000
const MEMORY_MIB = 64

export const containers: Benchmark = {
  name: 'containers',
  about: 'an empty unit in a container, and `podman run --rm` of the same image with the same limits',
  figures: {
    'beside podman': { unit: '%', better: 'more', per: null, must: 80, tolerance: 0.25 },
    'a unit': { unit: 'ms', better: 'less', per: null, tolerance: 0.5 },
    'podman run': { unit: 'ms', better: 'less', per: null, tolerance: 0.5 },
  },
  rounds: { full: 3, quick: 1 },
  open: async ({ quick }) => {
    const count = quick ? 5 : 20
    const folder = mkdtempSync(join(tmpdir(), 'talkoot-bench-'))
    const image = await makeImage(folder)
    const runtime = createContainerRuntime({ scratchDir: join(folder, 'scratch') })
    await runtime.probe(AbortSignal.timeout(DEADLINE_MS))
    const init = { seed: 1, cpus: 1, memoryMiB: MEMORY_MIB, timeoutMs: DEADLINE_MS, trees: image.trees }
    const sandbox = runtime.open({ ...init, source: imageShell(image.ref, 'echo "$1"') })
    const podman = await openPodman(folder, image.archive)
    const inputs = Array.from({ length: count }, (_, x) => ({ unit: x, params: JSON.stringify({ x }) }))
    // Unpacks the image.
    await drain(sandbox, inputs.slice(0, 1))
    return {
      round: async (): Promise<Sample> => {
        const unit = (await timed(() => drain(sandbox, inputs))) / count
        const bare = (await timed(() => podman.run(count))) / count
        return { 'beside podman': (100 * bare) / unit, 'a unit': unit, 'podman run': bare }
      },
      [Symbol.asyncDispose]: async () => {
        await runtime.stop()
        await podman[Symbol.asyncDispose]()
        rmSync(folder, { recursive: true, force: true })
      },
    }
  },
}

/** Podman with a store of its own, the image loaded into it. */
async function openPodman(folder: string, archive: string) {
  const [store, state] = [join(folder, 'store'), join(folder, 'state')]
  const places = ['--root', store, '--runroot', state, '--cgroup-manager', 'cgroupfs', '--runtime', 'runc']
  const podman = (...args: string[]) => execute('podman', [...places, ...args], { timeout: DEADLINE_MS })
  const { stdout } = await podman('load', '--quiet', '--input', archive)
  const image = stdout.trim().split(/\s+/).at(-1) ?? ''
  const confined = [
    ...['--network', 'none', '--read-only', '--cap-drop', 'all', '--security-opt', 'no-new-privileges'],
    ...[
      '--user',
      '65534:65534',
      '--pids-limit',
      '64',
      '--ulimit',
      'nofile=1024:1024',
      '--ulimit',
      'nproc=1024:1024',
      '--log-driver',
      'none',
    ],
  ]
  return {
    run: async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++)
        await podman('run', '--rm', ...confined, image, 'sh', '-c', 'echo "$1"', 'sh', `${i}`)
    },
    [Symbol.asyncDispose]: async () => {
      await podman('rmi', '--all', '--force')
      await execute('umount', [join(store, 'overlay')]).catch(() => undefined)
    },
  }
}
