import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { findFiles, readFolder } from '../../node/files/read-tree.ts'
import { TreeStore } from '../../node/store/tree-store.ts'
import { decodeTree } from '../../protocol/data/tree.ts'
import { LIMITS } from '../../protocol/limits.ts'

const signal = new AbortController().signal
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'talkoot-read-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const inside = (path: string) => join(folder, path)
const refused = (what: RegExp) =>
  expect(readFolder(folder, signal)).rejects.toMatchObject({ code: 'E_TREE', message: expect.stringMatching(what) })

it('the same files are the same tree, wherever they lie, and come out of the store as they went in', async () => {
  mkdirSync(inside('a/b'), { recursive: true })
  writeFileSync(inside('a/b/data'), new Uint8Array(LIMITS.TREE_CHUNK_BYTES + 5).fill(7))
  writeFileSync(inside('a.sh'), '#!/bin/sh', { mode: 0o755 })
  const { digest, description } = await readFolder(folder, signal)
  expect(decodeTree(description).files.map(({ path, bytes, executable }) => [path, bytes, executable])).toEqual([
    ['a.sh', 9, true],
    ['a/b/data', LIMITS.TREE_CHUNK_BYTES + 5, false],
  ])
  const trees = new TreeStore({ folder: inside('../trees-of-').concat(digest), budgetBytes: 1e8 })
  const held = await trees.begin(description, signal)
  try {
    await held.write(0, new TextEncoder().encode('#!/bin/sh'))
    await held.write(1, new Uint8Array(LIMITS.TREE_CHUNK_BYTES).fill(7))
    await held.write(2, new Uint8Array(5).fill(7))
    expect((await readFolder(held.folder, signal)).digest).toBe(digest)
  } finally {
    rmSync(join(held.folder, '../..'), { recursive: true, force: true })
  }
})

it('a link stays one that leads to something of the tree, or to what is installed', async () => {
  mkdirSync(inside('lib/deep'), { recursive: true })
  writeFileSync(inside('lib/deep/file'), 'content')
  symlinkSync('lib', inside('lib64'))
  symlinkSync('../lib/deep/file', inside('lib/up'))
  symlinkSync(inside('lib/deep'), inside('whole'))
  symlinkSync('/usr/bin/env', inside('env'))
  const { description } = await readFolder(folder, signal)
  const { files, links } = decodeTree(description)
  expect(files.map(({ path }) => path)).toEqual(['lib/deep/file'])
  expect(links).toEqual([
    { path: 'env', to: '/usr/bin/env' },
    { path: 'lib/up', to: '../lib/deep/file' },
    { path: 'lib64', to: 'lib' },
    { path: 'whole', to: 'lib/deep' },
  ])
})

it.each(['/etc/passwd', '../other', 'absent', 'lib/../../x', '/usr/../etc/passwd', 'lib64/file', '/', '.'])(
  'a link to %s leads out, and is refused',
  async (to) => {
    mkdirSync(inside('lib'))
    writeFileSync(inside('lib/file'), '')
    symlinkSync('lib', inside('lib64'))
    symlinkSync(to, inside('link'))
    await refused(/"link" is a link that leads out/)
  },
)

it('a link into another folder that is named is the file it leads to', async () => {
  mkdirSync(inside('env'))
  mkdirSync(inside('base'))
  writeFileSync(inside('base/python'), 'program', { mode: 0o755 })
  symlinkSync(inside('base/python'), inside('env/python'))
  const named = [{ path: '', file: inside('env') }]
  const found = await findFiles(named, signal, [inside('base')])
  expect(found).toMatchObject({ files: [{ path: 'python', file: inside('base/python') }], links: [] })
  await expect(readFolder(inside('env'), signal)).rejects.toMatchObject({ code: 'E_TREE' })
})

it('a folder of more files than a tree may have is looked through no further', async () => {
  // No file system has so many names for one file.
  for (const name of ['0', '1']) writeFileSync(inside(name), '')
  const names = Array.from({ length: 32 }, (_, at) => `f${at}`)
  for (const name of names) mkdirSync(inside(name))
  for (let at = 0; at <= LIMITS.TREE_FILES_MAX; at++) linkSync(inside(String(at % 2)), inside(`f${at % 32}/${at}`))
  await refused(/over 100000 files/)
})

it('names that print as something else are refused, and shown as what they are', async () => {
  writeFileSync(inside('two\nlines'), '')
  await refused(/"two\\nlines" has control characters/)
})

it('names that differ in case only are refused', async () => {
  writeFileSync(inside('Data'), '')
  writeFileSync(inside('data'), '')
  await refused(/case/)
})

it('a sparse file of 10 GB is refused by its length, unread', async () => {
  writeFileSync(inside('sparse'), '')
  truncateSync(inside('sparse'), 10e9)
  await refused(/bytes of files/)
})

it('folders in folders end at the length of a path', async () => {
  mkdirSync(inside(`${'d'.repeat(100)}/`.repeat(LIMITS.FILE_PATH_MAX_BYTES / 100 + 1)), { recursive: true })
  await refused(/longer than/)
})

it('folders in folders end at their depth', async () => {
  mkdirSync(inside('d/'.repeat(LIMITS.FILE_PATH_PARTS_MAX + 1)), { recursive: true })
  await refused(/deeper than 64 names/)
})

it('folders beside each other end at their number, empty ones too', async () => {
  for (let at = 0; at <= LIMITS.TREE_FOLDERS_MAX; at++) mkdirSync(inside(String(at)))
  await refused(/folders/)
})
