/** A program in an image on a sweep, from the command line and the SDK, on real nodes. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { createContainerRuntime } from '../../node/runtimes/container/runtime.ts'
import type { Jobs, Status } from '../../protocol/api.ts'
import { container, grid, Mesh, range } from '../../sdk/index.ts'
import { Lab, until } from './node-process.ts'

const SCRIPT = fileURLToPath(new URL('../../examples/container/image.sh', import.meta.url))

it('an image goes to who runs containers, and its program over the sweep', async (context) => {
  await using lab = new Lab()
  const image = join(lab.folder, 'app.tar')
  const obstacle = await obstacleOf(lab.folder, image)
  if (obstacle !== null) return context.annotate(`not run: ${obstacle}`)
  const home = await lab.node('home', ['--cores', '0'])
  const token = await home.token()
  const one = await lab.node('one', ['--cores', '1', '--join', token], { containers: true })
  await home.sees(2)
  const runs = async () =>
    (await home.peers()).peers.some(({ ad }) => ad?.runtimes.some(({ kind }) => kind === 'container'))
  await until('containers', 200_000, runs)
  writeFileSync(join(lab.folder, 'offset'), '1000')

  const brought = join(lab.folder, 'brought')
  mkdirSync(join(brought, 'bin'), { recursive: true })
  writeFileSync(join(brought, 'bin', 'square'), '#!/bin/sh\necho $(( $1 * $1 ))\n', { mode: 0o755 })

  const files = ['--in', join(lab.folder, 'offset'), '--folder', brought, '--out', 'left/*.txt']
  const flags = ['--param', 'x=0:4:1', '--image', image, ...files, '--json']
  const lines =
    '[ {x} = 3 ] && exit 4; mkdir left; echo {x} > left/{x}.txt; echo $GREETING $(( $(square {x}) + $(cat offset) ))'
  const { code, stdout } = await home.run(['run', ...flags, '--', 'sh', '-c', lines])
  expect(code).toBe(5)
  const values = [...stdout.matchAll(/"stdout":"(hello \d+)"/g)].map(([, text]) => text)
  expect(values.sort()).toEqual(['hello 1000', 'hello 1001', 'hello 1004'])
  const { disk } = await one.json<Status>(['status'])
  expect(disk.images).toBeGreaterThan(statSync(image).size)
  expect(disk.used).toBeGreaterThan(disk.images + statSync(image).size)
  const { jobs } = await home.json<Jobs>(['jobs'])
  const results = join(lab.folder, 'results')
  expect(await home.run(['job', 'results', jobs[0]?.id ?? '', '--out', results])).toMatchObject({ code: 0 })
  expect(readFileSync(join(results, 'units/000002/left/2.txt'), 'utf8')).toBe('2\n')
  expect(await home.run(['job', 'reproduce', jobs[0]?.id ?? '', '3'])).toMatchObject({ code: 4 })

  await using mesh = await Mesh.connect({ home: home.home })
  await using job = await mesh.map(container(image, ['echo', '{x}']), grid({ x: range(2) }))
  expect((await job.collect()).map(({ value }) => value.stdout).toSorted()).toEqual(['0', '1'])
})

async function obstacleOf(folder: string, image: string): Promise<string | null> {
  const runtime = createContainerRuntime({ scratchDir: join(folder, 'probe') })
  try {
    execFileSync('sh', [SCRIPT, image], { stdio: 'pipe' })
    await runtime.probe(AbortSignal.timeout(120_000))
    return null
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown)
  } finally {
    await runtime.stop()
  }
}
