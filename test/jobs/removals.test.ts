/** Jobs that are removed: gone for everybody at once, from the disk bit by bit, and only what nobody else needs. */

import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { encodeProgram } from '../../protocol/command/program.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { Laboratory } from './laboratory.ts'

const signal = new AbortController().signal

/** How many rows of jobs each table has. */
function rowsOf(lab: Laboratory): Record<string, number> {
  const tables = ['jobs', 'results', 'receipts', 'reports', 'job_peers', 'unit_files', 'unit_times']
  const count = (table: string) => Number(lab.ledger.db.prepare(`SELECT COUNT(*) AS n FROM ${table}`).get()?.n)
  return Object.fromEntries(tables.map((table) => [table, count(table)]))
}

const emptied = (lab: Laboratory) =>
  vi.waitFor(() => expect(Object.values(rowsOf(lab))).toEqual([0, 0, 0, 0, 0, 0, 0]), 60_000)
const onlyOne = (lab: Laboratory) => vi.waitFor(() => expect(rowsOf(lab).jobs).toBe(1), 60_000)

/** As if what came for jobs had come long ago. */
function age(lab: Laboratory): void {
  const then = Date.now() / 1_000 - (2 * LIMITS.UPLOAD_IDLE_MS) / 1_000
  for (const name of readdirSync(join(lab.folder, 'blobs'))) utimesSync(join(lab.folder, 'blobs', name), then, then)
}

it('a job that has ended goes with its results, receipts and source; another keeps its own, and what both need', async () => {
  await using lab = await Laboratory.open()
  const [first, same, other] = await Promise.all([
    lab.submit(4),
    lab.submit(3),
    lab.submit(2, { source: 'exports.default = () => 1' }),
  ])
  for (const { id } of [first, same, other]) await lab.ended(id)
  age(lab)
  expect(lab.removals.remove([first.id, other.id.slice(0, 12)])).toEqual({
    schema: 'talkoot.removed/1',
    jobs: [first.id, other.id],
  })
  expect(lab.jobs.list().map(({ id }) => id)).toEqual([same.id])
  expect(lab.jobs.counts()).toEqual({ running: 0, done: 1, cancelled: 0 })
  for (const look of [() => lab.jobs.info(first.id), () => lab.removals.remove([first.id])]) {
    expect(look).toThrow(expect.objectContaining({ code: 'E_NOT_FOUND' }))
  }
  await onlyOne(lab)
  expect(rowsOf(lab)).toMatchObject({ results: 3, job_peers: 1 })
  expect(await lab.values(same.id)).toEqual([0, 1, 4])
  expect(readdirSync(join(lab.folder, 'blobs'))).toEqual([same.task.digest])
  lab.removals.remove([same.id])
  await emptied(lab)
  expect(readdirSync(join(lab.folder, 'blobs'))).toEqual([])
})

it('what came lately stays: the job it is for may come next', async () => {
  await using lab = await Laboratory.open()
  const { id } = await lab.submit(1)
  await lab.ended(id)
  age(lab)
  const described = lab.describe(2)
  lab.removals.remove([id])
  await emptied(lab)
  const next = await lab.jobs.submit(described, { queue: true })
  expect((await lab.ended(next.id)).accepted).toBe(2)
})

it('a job that runs is refused, and with it all that were to go', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const [runs, ended] = [await lab.submit(1), await lab.submit(1)]
  await lab.jobs.cancel(ended.id)
  expect(() => lab.removals.remove([ended.id, runs.id])).toThrow(
    expect.objectContaining({ code: 'E_JOB_RUNNING', message: expect.stringContaining(runs.id.slice(0, 8)) }),
  )
  expect(lab.jobs.list()).toHaveLength(2)
  await lab.jobs.cancel(runs.id)
  lab.removals.remove([ended.id, runs.id])
  await emptied(lab)
})

it('a job is kept for one that runs and follows it, and for one that runs again what failed in it', async () => {
  await using lab = await Laboratory.open()
  const failing = await lab.submit(2, {
    source: 'exports.default = ({ n }) => { if (n) throw Error(); return n }',
    retries: 0,
  })
  await lab.ended(failing.id)
  const retry = await lab.jobs.retry(failing.id, { after: [] }, { queue: true })
  await lab.ended(retry.id)
  const follower = await lab.submit(1, { after: [failing.id], require: 'peer.cpus > 1000' })
  const refused = (...ids: string[]) =>
    expect(() => lab.removals.remove(ids)).toThrow(expect.objectContaining({ code: 'E_JOB_NEEDED' }))
  refused(failing.id)
  refused(failing.id, retry.id)
  await lab.jobs.cancel(follower.id)
  refused(failing.id)
  // One that has ended does not need it any more; together nothing is left that could.
  lab.removals.remove([failing.id, retry.id])
  await onlyOne(lab)
  expect(lab.jobs.info(follower.id).after).toEqual([failing.id])
})

it('goes on at the next start, however far it had come', async () => {
  await using lab = await Laboratory.open()
  const { id } = await lab.submit(50)
  await lab.ended(id)
  lab.removals.remove([id])
  await lab.restart()
  await emptied(lab)
})

it('a page of results that is asked for when its job is gone is an error, not an end', async () => {
  await using lab = await Laboratory.open()
  const { id } = await lab.submit(2)
  await lab.ended(id)
  const reading = lab.jobs.results(id, { follow: false, order: 'input', failed: false }, signal)
  lab.removals.remove([id])
  await expect(reading[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
})

it('files of two jobs stay until the last of them goes', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const place = lab.trees.newFolder()
  writeFileSync(join(place, 'data'), 'x'.repeat(10_000))
  const held = await lab.trees.take(place, signal)
  held.release()
  const submit = async (argument: string) => {
    const inputs = { digest: held.digest, bytes: 10_000 }
    const source = encodeProgram({ v: 1, argv: ['cat', argument], env: {}, stdin: null, inputs })
    const digest = lab.blobs.put(Buffer.from(source))
    const task = { runtime: 'command' as const, digest, bytes: source.length }
    const { id } = await lab.jobs.submit({ ...lab.describe(1), task }, { queue: true })
    await lab.jobs.cancel(id)
    return id
  }
  const [one, another] = [await submit('a'), await submit('b')]
  lab.removals.remove([one])
  await onlyOne(lab)
  expect(lab.trees.has(held.digest)).toBe(true)
  lab.removals.remove([another])
  await emptied(lab)
  expect(lab.trees.has(held.digest)).toBe(false)
  await vi.waitFor(() => expect(readdirSync(join(lab.folder, 'trees'))).toEqual([]))
})

it('a hundred thousand units go bit by bit, so that others have their turn, and the disk has their room back', async () => {
  await using lab = await Laboratory.open()
  const file = join(lab.folder, 'ledger.sqlite')
  const { id } = await lab.submit(1)
  await lab.ended(id)
  lab.ledger.db.exec(`
    WITH RECURSIVE units (unit) AS (SELECT 1 UNION ALL SELECT unit + 1 FROM units LIMIT 100000)
    INSERT INTO results (job, unit, seq, ok, value, code, blame, voices, attempts, disagreed)
    SELECT 1, unit, unit + 1, 1, printf('"%.*c"', 200, 'v'), NULL, NULL, '[[1,"d",null]]', 1, 0 FROM units;
    PRAGMA wal_checkpoint(TRUNCATE)`)
  const before = statSync(file).size
  expect(before).toBeGreaterThan(20e6)
  const left = lab.ledger.db.prepare('SELECT MIN(unit) AS unit FROM results')
  const seen = new Set<unknown>()
  let [last, longest] = [performance.now(), 0]
  const beat = setInterval(() => {
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
    seen.add(left.get()?.unit)
  }, 1)
  const began = performance.now()
  lab.removals.remove([id])
  expect(rowsOf(lab).results).toBeGreaterThan(50_000)
  const onDisk = (path: string) => (existsSync(path) ? statSync(path).size : 0)
  await vi.waitFor(() => {
    expect(onDisk(file)).toBeLessThan(before / 50)
    // The last step may be to come when the ledger is as small as that.
    expect(onDisk(`${file}-wal`)).toBeLessThan(1e6)
  }, 100_000)
  clearInterval(beat)
  const took = ((performance.now() - began) / 1_000).toFixed(1)
  console.info(`removed in ${took} s; the event loop was held for ${longest.toFixed(0)} ms at most`)
  // Others had their turn while it was on its way.
  expect(seen.size).toBeGreaterThan(5)
})
