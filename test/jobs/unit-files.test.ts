/** Files of units at the submitter: no attempt counts without them. */

import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import type { AttemptEnd } from '../../node/jobs/scheduler/events.ts'
import { UnitFilesOfJobs } from '../../node/jobs/unit-files.ts'
import { TreeStore } from '../../node/store/tree-store.ts'
import { encodeProgram } from '../../protocol/command/program.ts'
import { type ErrorCode, TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'

const folder = mkdtempSync(join(tmpdir(), 'talkoot-unit-files-'))
const signal = new AbortController().signal
const worker = new TreeStore({ folder: join(folder, 'worker'), budgetBytes: 2 ** 30 })
const own = new TreeStore({ folder: join(folder, 'own'), budgetBytes: Number.MAX_SAFE_INTEGER })
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const task = (runtime: 'js' | 'command', digest: string) => ({ runtime, digest, bytes: 1 })
const program = (outputs: string[]): string =>
  encodeProgram({ v: 1, argv: ['run'], env: {}, stdin: null, inputs: null, outputs })
const sources = new Map([
  ['leaves', program(['out'])],
  ['leaves-none', program([])],
])

const files = (fetchFailure?: TalkootError, unitTrees: Pick<TreeStore, 'begin' | 'free'> = own): UnitFilesOfJobs =>
  new UnitFilesOfJobs({
    blobs: { get: (digest) => Buffer.from(sources.get(digest) ?? '') },
    unitTrees,
    fetchTree: async (_, { digest }) => {
      if (fetchFailure !== undefined) throw fetchFailure
      return await worker.hold(digest, signal)
    },
  })

const valued = (value: unknown): AttemptEnd => ({ unit: 3, ok: true, value: JSON.stringify(value), digest: 'd' })

async function written(
  text: string,
  add: (place: string) => void = () => undefined,
): Promise<{ digest: string; bytes: number }> {
  const place = worker.newFolder()
  writeFileSync(join(place, 'table.csv'), text)
  add(place)
  const held = await worker.take(place, signal)
  held.release()
  return { digest: held.digest, bytes: text.length }
}

it('an end counts when its files are here, and they stay', async () => {
  const ref = await written('1,2,3\n')
  const end = valued({ stdout: '', files: ref })
  expect(await files().fetch('peer', task('command', 'leaves'), end)).toEqual(end)
  const held = await own.hold(ref.digest, signal)
  expect(held.whole).toBe(true)
  held.release()
  // Told twice, it is fetched once.
  expect(await files().fetch('peer', task('command', 'leaves'), end)).toEqual(end)
})

it('nothing is fetched of failures, of functions, and of programs that leave none', () => {
  const failure: AttemptEnd = { unit: 3, ok: false, code: 'E_EXIT', message: '', blame: 'program' }
  expect(files().fetch('peer', task('command', 'leaves'), failure)).toBeNull()
  for (const other of [task('js', 'leaves'), task('command', 'leaves-none')]) {
    expect(files().fetch('peer', other, valued({ files: { digest: 'x', bytes: 1 } }))).toBeNull()
  }
})

it.each([
  ['links', (place: string) => symlinkSync('table.csv', join(place, 'link'))],
  ['other bytes than it says', (place: string) => writeFileSync(join(place, 'more'), 'more')],
])('a tree with %s is not taken', async (_what, add) => {
  const ref = await written('5\n', add)
  const fetching = files().fetch('peer', task('command', 'leaves'), valued({ files: ref }))
  expect(await fetching).toMatchObject({ ok: false, code: 'E_OUTPUT_LOST' })
  expect(own.has(ref.digest)).toBe(false)
})

it.each<[string, unknown, ErrorCode | undefined, string]>([
  ['names none', { stdout: 'x' }, undefined, 'E_OUTPUT_LOST'],
  ['names more than there may be', { files: { bytes: LIMITS.UNIT_FILES_MAX_BYTES + 1 } }, undefined, 'E_OUTPUT_LOST'],
  ['is not data', null, undefined, 'E_OUTPUT_LOST'],
  ['comes from a peer that is gone', { files: {} }, 'E_UNREACHABLE', 'E_OUTPUT_LOST'],
  ['finds no room here', { files: {} }, 'E_DISK_FULL', 'E_DISK_FULL'],
])('a value that %s is a failure', async (_what, value, failure, code) => {
  const ref = await written('4\n')
  const named = value !== null && typeof value === 'object' && 'files' in value
  const said = named ? { files: { ...ref, ...(value as { files: object }).files } } : value
  const fetching = files(failure && new TalkootError(failure, 'no')).fetch(
    'peer',
    task('command', 'leaves'),
    valued(said),
  )
  expect(await fetching).toMatchObject({
    unit: 3,
    ok: false,
    code,
    blame: failure === 'E_DISK_FULL' ? 'data' : 'machine',
  })
})

it('files that would leave too little room on the disk here are not fetched, which is no fault of the worker', async () => {
  const ref = await written('6\n')
  const reserve = LIMITS.DISK_RESERVE_MIB * 2 ** 20
  const begin = own.begin.bind(own)
  const fetch = (free: number) =>
    files(undefined, { begin, free }).fetch('peer', task('command', 'leaves'), valued({ files: ref }))
  expect(await fetch(reserve + ref.bytes - 1)).toMatchObject({ ok: false, code: 'E_DISK_FULL', blame: 'data' })
  expect(own.has(ref.digest)).toBe(false)
  expect(await fetch(reserve + ref.bytes)).toMatchObject({ ok: true })
})

it('files of one peer come one after the other, so many at most, each in its own time; others do not wait for them', async () => {
  const clocks = vi.spyOn(AbortSignal, 'timeout')
  const ref = await written('7\n')
  const asked: string[] = []
  const gates = new Map<string, PromiseWithResolvers<void>>()
  const fetching = new UnitFilesOfJobs({
    blobs: { get: () => Buffer.from(program(['out'])) },
    unitTrees: own,
    fetchTree: async (peer, { digest }) => {
      asked.push(peer)
      const gate = Promise.withResolvers<void>()
      gates.set(peer, gate)
      await gate.promise
      return await worker.hold(digest, signal)
    },
  })
  const fetch = (peer: string) => fetching.fetch(peer, task('command', 'queued'), valued({ files: ref }))
  const all = Array.from({ length: LIMITS.UNIT_FETCHES_PER_PEER_MAX }, () => fetch('hostile'))
  expect(await fetch('hostile')).toMatchObject({ ok: false, code: 'E_OUTPUT_LOST' })
  expect(asked).toEqual(['hostile'])
  expect(clocks).toHaveBeenCalledTimes(1)
  clocks.mockRestore()
  const honest = fetch('honest')
  gates.get('honest')?.resolve()
  expect(await honest).toMatchObject({ ok: true })
  // The next one is asked for when the first has come.
  gates.get('hostile')?.resolve()
  expect(await all[0]).toMatchObject({ ok: true })
  await vi.waitFor(() => expect(asked).toEqual(['hostile', 'honest', 'hostile']))
  // What waits for its turn is not begun any more.
  fetching.stop()
  gates.get('hostile')?.resolve()
  expect(await all.at(-1)).toMatchObject({ ok: false, code: 'E_OUTPUT_LOST' })
  expect(asked).toHaveLength(3)
})
