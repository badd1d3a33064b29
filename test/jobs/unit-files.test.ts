/** Files of units at the submitter: no attempt counts without them. */

import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import type { AttemptEnd, SchedulerEffect } from '../../node/jobs/scheduler/events.ts'
import { UnitFilesOfJobs } from '../../node/jobs/unit-files.ts'
import { TreeStore } from '../../node/store/tree-store.ts'
import { canonicalJson } from '../../protocol/canonical.ts'
import { encodeProgram } from '../../protocol/command/program.ts'
import { type ErrorCode, TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Signer } from '../../protocol/signatures.ts'
import type { Attempt } from '../../protocol/work.ts'
import { QUORUM } from '../cores/fixture.ts'
import { until } from '../mesh/nodes.ts'
import { newSigner } from '../worker/submitter.ts'
import { Laboratory } from './laboratory.ts'
import { scripted } from './scripted-worker.ts'

const folder = mkdtempSync(join(tmpdir(), 'talkoot-unit-files-'))
const signal = new AbortController().signal
const worker = new TreeStore({ folder: join(folder, 'worker'), budgetBytes: 2 ** 30 })
const own = new TreeStore({ folder: join(folder, 'own'), budgetBytes: Number.MAX_SAFE_INTEGER })
afterAll(() => rmSync(folder, { recursive: true, force: true }))

type Trees = ConstructorParameters<typeof UnitFilesOfJobs>[0]['unitTrees']
const of = (runtime: 'js' | 'command', digest: string) => ({
  job: 'job',
  task: { runtime, digest, bytes: 1 },
  isAwaited: () => true,
})
const onError = (error: unknown) => void expect.unreachable(String(error))
const program = (outputs: string[]): string =>
  encodeProgram({ v: 1, argv: ['run'], env: {}, stdin: null, inputs: null, outputs })
const sources = new Map([
  ['leaves', program(['out'])],
  ['leaves-none', program([])],
])

const files = (fetchFailure?: TalkootError, unitTrees: Trees = own, named = new Set<string>()): UnitFilesOfJobs =>
  new UnitFilesOfJobs({
    blobs: { get: (digest) => Buffer.from(sources.get(digest) ?? '') },
    unitTrees,
    named,
    onError,
    fetchTree: async (_, { digest }) => {
      if (fetchFailure !== undefined) throw fetchFailure
      return await worker.hold(digest, signal)
    },
  })

const valued = (value: unknown): AttemptEnd => ({ unit: 3, ok: true, value: JSON.stringify(value), digest: 'd' })

async function written(
  text: string,
  add: (place: string) => void = () => undefined,
  trees = worker,
): Promise<{ digest: string; bytes: number }> {
  const place = trees.newFolder()
  writeFileSync(join(place, 'table.csv'), text)
  add(place)
  const held = await trees.take(place, signal)
  held.release()
  return { digest: held.digest, bytes: text.length }
}

it('an end counts when its files are here, and they stay', async () => {
  const ref = await written('1,2,3\n')
  const end = valued({ stdout: '', files: ref })
  expect(await files().fetch('peer', of('command', 'leaves'), end)).toEqual(end)
  const held = await own.hold(ref.digest, signal)
  expect(held.whole).toBe(true)
  held.release()
  // Told twice, it is fetched once.
  expect(await files().fetch('peer', of('command', 'leaves'), end)).toEqual(end)
})

it('nothing is fetched of failures, of functions, and of programs that leave none', () => {
  const failure: AttemptEnd = { unit: 3, ok: false, code: 'E_EXIT', message: '', blame: 'program' }
  expect(files().fetch('peer', of('command', 'leaves'), failure)).toBeNull()
  for (const other of [of('js', 'leaves'), of('command', 'leaves-none')]) {
    expect(files().fetch('peer', other, valued({ files: { digest: 'x', bytes: 1 } }))).toBeNull()
  }
})

it.each([
  ['links', (place: string) => symlinkSync('table.csv', join(place, 'link'))],
  ['other bytes than it says', (place: string) => writeFileSync(join(place, 'more'), 'more')],
])('a tree with %s is not taken', async (_what, add) => {
  const ref = await written('5\n', add)
  const fetching = files().fetch('peer', of('command', 'leaves'), valued({ files: ref }))
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
    of('command', 'leaves'),
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
    files(undefined, { begin, free, drop: async () => undefined, digests: () => [] }).fetch(
      'peer',
      of('command', 'leaves'),
      valued({ files: ref }),
    )
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
    named: new Set<string>(),
    onError,
    fetchTree: async (peer, { digest }) => {
      asked.push(peer)
      const gate = Promise.withResolvers<void>()
      gates.set(peer, gate)
      await gate.promise
      return await worker.hold(digest, signal)
    },
  })
  const fetch = (peer: string) => fetching.fetch(peer, of('command', 'queued'), valued({ files: ref }))
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
  await vi.waitFor(() => expect(asked).toEqual(['hostile', 'honest', 'hostile']), { timeout: 60_000 })
  // What waits for its turn is not begun any more.
  fetching.stop()
  gates.get('hostile')?.resolve()
  expect(await all.at(-1)).toMatchObject({ ok: false, code: 'E_OUTPUT_LOST' })
  expect(asked).toHaveLength(3)
})

it('files of a worker that was not given the unit, or has told of it before, are not fetched', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const ref = await written('8\n', () => undefined, lab.trees)
  const holds = vi.spyOn(lab.trees, 'hold')
  const value = canonicalJson({ stdout: '', files: ref })
  const ends: Attempt[] = [{ unit: 0, ok: true, value }]
  const source = program(['out'])
  const { id } = await lab.jobs.submit(
    {
      ...lab.describe(1, QUORUM),
      task: { runtime: 'command', digest: lab.blobs.put(Buffer.from(source)), bytes: Buffer.byteLength(source) },
    },
    { queue: true },
  )
  const [given, stranger] = [await newSigner(), await newSigner()]
  const ad = { runtimes: [{ kind: 'command', version: '1', confinement: 'os' as const }] }
  let turns = 0
  const tells = (signer: Signer, when: 'run' | 'open') =>
    scripted(signer, {
      onOpen: async ({ tell, channel }) => {
        if (when === 'run') return
        await tell(id, ends)
        await channel.close()
      },
      onRun: async ({ tell, say }) => {
        await tell(id, ends)
        await tell(id, ends)
        await say({ t: 'checkpoint', job: id, unit: 0, state: new Uint8Array(1) })
        turns += 1
      },
    })
  lab.mesh.enter(stranger.peer, tells(stranger, 'open'))
  await until(() => (lab.mesh.opened.get(stranger.peer) ?? 0) > 1)
  expect(holds).not.toHaveBeenCalled()
  lab.mesh.enter(given.peer, tells(given, 'run'), { ad })
  await until(() => turns === 1 && holds.mock.calls.length > 0)
  await until(() => lab.jobs.info(id).executions === 1)
  // One by the fetch and one by what is kept of it.
  expect(holds.mock.calls.filter(([digest]) => digest === ref.digest)).toHaveLength(2)
})

describe('files that no accepted unit needs', () => {
  const decided = (unit: number) => ({
    event: { type: 'tick' } as const,
    effects: [{ type: 'failed', job: 'job', unit } as Extract<SchedulerEffect, { type: 'failed' }>],
  })
  const gone = (digest: string) => expect.poll(() => own.has(digest)).toBe(false)

  function withNamed() {
    const accepted = new Set<string>()
    const fetching = files(undefined, own, accepted)
    const left = async (unit: number, text: string) => {
      const ref = await written(text)
      await fetching.fetch('peer', of('command', 'leaves'), { ...valued({ files: ref }), unit })
      return ref.digest
    }
    return { accepted, fetching, left }
  }

  it('go when their unit is decided for others, and that is written', async () => {
    const { accepted, fetching, left } = withNamed()
    const [right, wrong, other] = [await left(1, 'right'), await left(1, 'wrong'), await left(2, 'wrong too')]
    fetching.loose.heard(decided(1), () => false)
    fetching.loose.written()
    fetching.loose.heard(decided(1), () => true)
    await fetching.loose.discard([wrong])
    expect([right, wrong, other].map((tree) => own.has(tree))).toEqual([true, true, true])
    accepted.add(right)
    fetching.loose.written()
    await gone(wrong)
    expect([right, other].map((tree) => own.has(tree))).toEqual([true, true])
    fetching.loose.ended('job')
    fetching.loose.written()
    await gone(other)
    expect(own.has(right)).toBe(true)
  })

  it('stay for another unit that left the same and is not decided', async () => {
    const { fetching, left } = withNamed()
    const tree = await left(1, 'the same of both')
    await left(2, 'the same of both')
    fetching.loose.heard(decided(1), () => true)
    fetching.loose.written()
    await fetching.loose.discard([tree])
    expect(own.has(tree)).toBe(true)
    fetching.loose.heard(decided(2), () => true)
    fetching.loose.written()
    await gone(tree)
  })

  it('go at the next start if they came before it, and are not there if they came by half', async () => {
    const { accepted, left } = withNamed()
    const [kept, loose] = [await left(1, 'kept'), await left(2, 'loose')]
    accepted.add(kept)
    await files(undefined, own, accepted).loose.sweep()
    expect([own.has(kept), own.has(loose)]).toEqual([true, false])
    const ref = await written('by half')
    const halfway: Trees = {
      free: own.free,
      drop: (tree) => own.drop(tree),
      digests: () => own.digests(),
      begin: async (...asked) => ({
        ...(await own.begin(...asked)),
        write: () => Promise.reject(new TalkootError('E_DISK_FULL', 'no room for the rest')),
      }),
    }
    const fetching = files(undefined, halfway).fetch('peer', of('command', 'leaves'), valued({ files: ref }))
    expect(await fetching).toMatchObject({ ok: false, code: 'E_DISK_FULL' })
    await gone(ref.digest)
  })
})
