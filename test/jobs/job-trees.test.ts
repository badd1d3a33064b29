/** The files of jobs at their submitter: there before a job is signed, and kept until it ends. */

import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { JobTrees } from '../../node/jobs/job-trees.ts'
import { TreeStore } from '../../node/store/tree-store.ts'
import { TreeUploads } from '../../node/store/tree-uploads.ts'
import { encodeProgram } from '../../protocol/command/program.ts'
import { encodeTree, inOrder, type TreeRef } from '../../protocol/data/tree.ts'
import { LIMITS } from '../../protocol/limits.ts'

const signal = new AbortController().signal
const sources = new Map<string, string>()
const errors: unknown[] = []
let folder: string
let trees: TreeStore
let uploads: TreeUploads
let jobs: JobTrees

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'talkoot-job-trees-'))
  errors.length = 0
  open()
})
afterEach(() => {
  uploads.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** As after a restart. */
function open(): void {
  trees = new TreeStore({ folder: join(folder, 'trees'), budgetBytes: 60_000 })
  uploads = new TreeUploads({ trees })
  const blobs = { get: (digest: string) => Buffer.from(sources.get(digest) ?? '') }
  jobs = new JobTrees({ blobs, trees, uploads, onError: (error) => void errors.push(error) })
}

/** A task whose one file has these bytes, sent to this node. */
async function sent(text: string, { bytes = 40_000, whole = true, files = 1 } = {}) {
  const content = Buffer.alloc(bytes, text)
  const of = (at: number) => ({ path: `f${at}`, bytes: 0, executable: false, chunks: new Uint8Array() })
  const first = { ...of(0), bytes, chunks: createHash('sha256').update(content).digest() }
  const others = Array.from({ length: files - 1 }, (_, at) => of(at + 1))
  const { digest, description } = encodeTree({ v: 1, files: inOrder([first, ...others]) })
  await uploads.begin(digest, description, signal)
  const body = async function* () {
    yield content
  }
  if (whole) await uploads.take(digest, { first: 0, count: 1 }, body())
  return taskOf({ digest, bytes })
}

function taskOf(inputs: TreeRef) {
  const source = encodeProgram({ v: 1, argv: ['true'], env: {}, stdin: null, inputs })
  sources.set(inputs.digest, source)
  return { runtime: 'command' as const, digest: inputs.digest, bytes: source.length }
}

const refusedWith = (text: RegExp) => ({ code: 'E_JOB_INVALID', message: expect.stringMatching(text) })

it('a job whose files are not all here, or not as it says, is refused', async () => {
  await expect(jobs.check(taskOf({ digest: 'a'.repeat(52), bytes: 1 }))).rejects.toMatchObject(
    refusedWith(/not stored/),
  )
  await expect(jobs.check(await sent('half', { whole: false }))).rejects.toMatchObject(refusedWith(/have not come/))
  const { digest } = await sent('whole', { bytes: 10 })
  await expect(jobs.check(taskOf({ digest, bytes: 9 }))).rejects.toMatchObject(refusedWith(/have 10/))
  await jobs.check(taskOf({ digest, bytes: 10 }))
})

it('files stay until their job ends, restarts included, and make room then', async () => {
  const task = await sent('one')
  await jobs.check(task)
  jobs.keep('job', task)
  await expect(sent('two')).rejects.toMatchObject({ code: 'E_DISK_TAKEN' })
  open()
  jobs.keep('job', task)
  await expect(sent('two')).rejects.toMatchObject({ code: 'E_DISK_TAKEN' })
  jobs.forget('job')
  jobs.forget('job')
  await sent('two')
  expect(trees.has(task.digest)).toBe(false)
  // What is gone is said, and keeps nobody from going on.
  jobs.keep('job', task)
  expect(errors).toMatchObject([{ code: 'E_NOT_FOUND' }])
})

it('more names than a unit’s folder takes are refused before anything runs', async () => {
  const wide = new TreeStore({ folder: join(folder, 'wide'), budgetBytes: 2 ** 24 })
  trees = wide
  uploads = new TreeUploads({ trees })
  jobs = new JobTrees({
    blobs: { get: (digest) => Buffer.from(sources.get(digest) ?? '') },
    trees,
    uploads,
    onError: () => undefined,
  })
  const task = await sent('wide', { bytes: 1, files: LIMITS.COMMAND_INPUTS_MAX + 1 })
  await expect(jobs.check(task)).rejects.toMatchObject(refusedWith(/folder of their own/))
})
