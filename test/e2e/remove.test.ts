/** Jobs that are removed from a real node, which is killed in the midst of it. */

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { command, grid, Mesh, range } from '../../sdk/index.ts'
import { Lab, type NodeProcess, until } from './node-process.ts'

const MANY = 150_000

it('a job that is removed is gone for everybody; its rows and files follow, though the node is killed on the way', async (context) => {
  await using lab = new Lab()
  const node = await lab.node('home', ['--cores', '1'])
  await using mesh = await Mesh.connect({ home: node.home })
  if (!(await mesh.status()).runtimes.some(({ kind }) => kind === 'command')) {
    return context.annotate('not run: no programs on this machine')
  }
  writeFileSync(join(lab.folder, 'data'), 'some data')
  const inputs = [join(lab.folder, 'data')]
  const copies = command(['sh', '-c', 'cp data copy-{x}'], { inputs, outputs: ['copy-{x}'] })
  const removed = await mesh.map(copies, grid({ x: range(3) }))
  const stays = await mesh.map(copies, grid({ x: [0] }))
  for (const job of [removed, stays]) await job.collect()
  const held = (folder: string) => readdirSync(join(node.home, folder)).length
  const results = join(lab.folder, 'results')
  for (const _ of ['once', 'again']) await removed.toFolder(results)
  expect(readFileSync(join(results, 'results.jsonl'), 'utf8').trim().split('\n')).toHaveLength(3)
  expect(readFileSync(join(results, 'units/000002/copy-2'), 'utf8')).toBe('some data')
  await expect(stays.toFolder(results)).rejects.toMatchObject({ code: 'E_FILE' })
  for await (const result of removed)
    await removed.writeFiles(result, join(lab.folder, 'by-x', String(result.params.x)))
  expect(readdirSync(join(lab.folder, 'by-x/1'))).toEqual(['copy-1'])

  // What was brought, and what this machine's own units wrote.
  expect([held('trees'), held('unit-files')]).toEqual([1 + 3, 3])
  const { disk } = await mesh.status()
  expect(disk.budget).toBe(2 ** 30)
  for (const used of [disk.used, disk.unitFiles]) expect(used).toBeGreaterThan(3 * LIMITS.TREE_FILE_COST_BYTES)

  const running = await mesh.map(command(['sleep', '60']), grid({ x: [0] }))
  const refused = await node.run(['job', 'remove', removed.id, running.id])
  expect([refused.code, refused.stderr]).toEqual([7, expect.stringContaining('E_JOB_RUNNING')])
  expect(refused.stderr).toContain('talkoot job cancel')
  await running.cancel()
  await using plain = await mesh.map(command(['true']), grid({ x: [0] }))
  for await (const result of plain) {
    await expect(plain.writeFiles(result, join(lab.folder, 'none'))).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
  }
  await plain.remove()

  await node.kill('SIGTERM')
  addRows(node, removed.id)
  await node.start()
  const before = statSync(ledgerOf(node)).size
  expect((await node.json<{ jobs: string[] }>(['job', 'remove', removed.id.slice(0, 12)])).jobs).toEqual([removed.id])
  await node.kill('SIGKILL')
  const left = rowsOf(node)
  console.info(`${left} of ${MANY} rows were left when the node was killed`)
  expect(left).toBeGreaterThan(1)

  await node.start()
  expect((await mesh.jobs()).map(({ id }) => id)).toEqual([running.id, stays.id])
  await expect(removed.remove()).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
  await until('the disk to have its room back', 120_000, () => statSync(ledgerOf(node)).size < before / 20)
  expect(rowsOf(node)).toBe(1)
  await until('the files to go', 60_000, () => held('unit-files') === 1)
  expect((await stays.collect()).map(({ value }) => value.files?.bytes)).toEqual([9])
  expect(held('trees')).toBeGreaterThan(0)
  await stays.remove()
  await until('the last files to go', 60_000, () => held('trees') + held('unit-files') === 0)
  expect((await mesh.status()).disk).toEqual({ budget: 2 ** 30, used: 0, images: 0, unitFiles: 0 })
})

const ledgerOf = ({ home }: NodeProcess): string => join(home, 'ledger.sqlite')

function rowsOf(node: NodeProcess): number {
  using ledger = new DatabaseSync(ledgerOf(node))
  return Number(ledger.prepare('SELECT COUNT(*) AS rows FROM results').get()?.rows)
}

/** As a long sweep leaves them. */
function addRows(node: NodeProcess, job: string): void {
  using ledger = new DatabaseSync(ledgerOf(node))
  ledger.exec(`
    WITH RECURSIVE units (unit) AS (SELECT 3 UNION ALL SELECT unit + 1 FROM units LIMIT ${MANY})
    INSERT INTO results (job, unit, seq, ok, value, voices, attempts, disagreed)
    SELECT n, unit, unit + 1, 1, '{"stdout":"a line of figures, as programs print them"}', '[[1,"d",null]]', 1, 0
    FROM units, jobs WHERE id = '${job}'`)
}
