import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { costOf } from '../../node/store/tree-cost.ts'
import { TreeFolder } from '../../node/store/tree-folder.ts'
import { TreeStore } from '../../node/store/tree-store.ts'
import { canonicalBytes } from '../../protocol/canonical.ts'
import { decodeTree, encodeTree, inOrder, type TreeFile } from '../../protocol/data/tree.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { until } from '../mesh/nodes.ts'

const { TREE_CHUNK_BYTES, TREE_FILES_MAX, TREE_FOLDERS_MAX, TREE_MAX_BYTES } = LIMITS
const signal = new AbortController().signal
const MiB = 1024 * 1024

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'talkoot-trees-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const store = (budgetBytes = 64 * MiB) => new TreeStore({ folder: join(folder, 'trees'), budgetBytes })

const pieces = (bytes: Uint8Array): Uint8Array[] =>
  Array.from({ length: Math.ceil(bytes.length / TREE_CHUNK_BYTES) }, (_, at) =>
    bytes.subarray(at * TREE_CHUNK_BYTES, (at + 1) * TREE_CHUNK_BYTES),
  )

const fileOf = (path: string, bytes: Uint8Array, executable = false): TreeFile => ({
  path,
  bytes: bytes.length,
  executable,
  chunks: Buffer.concat(pieces(bytes).map((piece) => createHash('sha256').update(piece).digest())),
})
const empty = (path: string): TreeFile => fileOf(path, new Uint8Array())

/** Two and a half chunks, a program, an empty file; and the chunks in their order. */
function sample(seed: number) {
  const big = new Uint8Array(2.5 * MiB).map((_, at) => at * seed + (at >> 20))
  const small = new TextEncoder().encode(`#!/bin/sh ${seed}`)
  const files = inOrder([fileOf('run.sh', small, true), fileOf('data/big.bin', big), empty('data/deep/er/empty')])
  return { ...encodeTree({ v: 1, files }), big, chunks: [...pieces(big), small] }
}

async function fill(trees: TreeStore, { description, chunks }: ReturnType<typeof sample>) {
  const held = await trees.begin(description, signal)
  for (const [at, bytes] of chunks.entries()) await held.write(at, bytes)
  return held
}

describe('a tree', () => {
  const refused = (files: TreeFile[], what: RegExp) => {
    expect(() => encodeTree({ v: 1, files })).toThrow(expect.objectContaining({ code: 'E_TREE' }))
    expect(() => decodeTree(canonicalBytes({ v: 1, files }))).toThrow(what)
  }

  it('comes back from its description', () => {
    const { description, digest } = sample(3)
    expect(encodeTree(decodeTree(description)).digest).toBe(digest)
  })

  it('is refused with names that leave it, clash, or hold what a terminal would obey', () => {
    for (const path of ['../up', '/etc/passwd', 'a//b', 'a/./b', 'new\nline', 'bell\u0007', 'a\\b', '-rf', '']) {
      refused([empty(path)], /relative path|control|dash/)
    }
    refused([empty('Data/x'), empty('data/X')], /case/)
    refused(
      [empty('caf\u00e9'), empty('cafe\u0301')].sort((a, b) => (a.path < b.path ? -1 : 1)),
      /case/,
    )
    refused([empty('a'), empty('a/b')], /lies in a file/)
    refused([empty('b'), empty('a')], /order/)
  })

  it('is refused for the first thing that is wrong with it, before a hundred thousand others are looked at', () => {
    const files = Array.from({ length: LIMITS.TREE_FILES_MAX }, () => ({}))
    expect(() => decodeTree(canonicalBytes({ v: 1, files, links: files }))).toThrow(/^files\.0[^;]*$/)
  })

  it('is refused with a link that leads out of it, or in whose place something lies', () => {
    const linked = (links: { path: string; to: string }[], what: RegExp) => {
      const tree = { v: 1 as const, files: [empty('a/file'), empty('b')], links }
      expect(() => encodeTree(tree)).toThrow(expect.objectContaining({ code: 'E_TREE' }))
      expect(() => decodeTree(canonicalBytes(tree))).toThrow(what)
    }
    for (const to of ['../b', '/etc/passwd', '/usr/../etc', 'c', '', '/', '/usr', 'a/../../b', 'a\u0000', 'l/file']) {
      linked([{ path: 'l', to }], /leads out/)
    }
    linked([{ path: 'b', to: 'a' }], /twice/)
    linked([{ path: 'a', to: 'b' }], /twice|lies in a file/)
    linked([{ path: 'b/l', to: '../a' }], /lies in a file/)
    linked([{ path: '../l', to: 'b' }], /relative path/)
    linked(
      [
        { path: 'm', to: 'a' },
        { path: 'l', to: 'a' },
      ],
      /order/,
    )
    linked([], /Too small|>=1/)
    // Through a link, `..` leads up from where that leads.
    const through = [
      { path: 'd/e/l', to: '../../f' },
      { path: 'd/e/m', to: 'l/../../x' },
    ]
    const files = [empty('d/x'), empty('f/y'), empty('x')]
    expect(() => encodeTree({ v: 1, files, links: through })).toThrow(/leads out/)
  })

  it('may have links to each folder its files lie in', () => {
    const links = ['a', 'a/b', 'a/b/c'].map((to, at) => ({ path: `l${at}`, to }))
    const { description } = encodeTree({ v: 1, files: inOrder([empty('a/b/c/d'), empty('a/b/c/e')]), links })
    expect(decodeTree(description).links).toEqual(links)
  })

  it('counts each folder once on the disk', () => {
    const files = inOrder(['a/b/c', 'a/b/d', 'a/e/f', 'g/h', 'i'].map(empty))
    const cost = costOf({ v: 1, files, links: [{ path: 'a/j/k', to: '../b' }] }, new Uint8Array(7))
    expect(cost).toBe(7 + (6 + 5 + 1) * LIMITS.TREE_FILE_COST_BYTES)
  })

  it('of deep folders is looked at in steps of its files, not of all they lie in', () => {
    const deep = 'd/'.repeat(LIMITS.FILE_PATH_PARTS_MAX - 1)
    const files = Array.from({ length: 500 }, (_, at) => empty(`${deep}${String(at).padStart(3, '0')}`))
    const tree = { v: 1 as const, files }
    const linked = { ...tree, links: [{ path: 'l', to: 'd' }] }
    const [bare, withLinks] = [encodeTree(tree).description, encodeTree(linked).description]
    for (const work of [() => decodeTree(bare), () => decodeTree(withLinks), () => costOf(tree, bare)]) {
      expect(setSteps(work)).toBeLessThan(files.length * 16)
    }
  })

  it('is refused over each bound', () => {
    refused([{ ...empty('long'), bytes: 2 }], /do not fit its length/)
    const half = {
      bytes: TREE_MAX_BYTES / 2 + 1,
      chunks: new Uint8Array((TREE_MAX_BYTES / 2 / TREE_CHUNK_BYTES + 1) * 32),
    }
    refused(
      [
        { ...empty('a'), ...half },
        { ...empty('b'), ...half },
      ],
      /bytes of files/,
    )
    const name = (at: number) => String(at).padStart(7, '0')
    const many = Array.from({ length: TREE_FILES_MAX + 1 }, (_, at) => empty(name(at)))
    expect(() => encodeTree({ v: 1, files: many })).toThrow(/over 100000 files/)
    refused(
      Array.from({ length: TREE_FOLDERS_MAX + 1 }, (_, at) => empty(`${name(at)}/f`)),
      /folders/,
    )
    expect(() => decodeTree(new Uint8Array(LIMITS.TREE_DESCRIPTION_MAX_BYTES + 1))).toThrow(/take over/)
    expect(() => decodeTree(new Uint8Array([1, 2, 3]))).toThrow(expect.objectContaining({ code: 'E_TREE' }))
  })
})

function setSteps(work: () => unknown): number {
  const spies = [vi.spyOn(Set.prototype, 'has'), vi.spyOn(Set.prototype, 'add')]
  try {
    work()
    return spies.reduce((sum, { mock }) => sum + mock.calls.length, 0)
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}

describe('the store', () => {
  it('lays a tree out as it was, and gives its chunks back', async () => {
    const tree = sample(3)
    const held = await fill(store(), tree)
    expect(held.whole).toBe(true)
    expect(readFileSync(join(held.folder, 'data/big.bin')).equals(tree.big)).toBe(true)
    expect(statSync(join(held.folder, 'data/deep/er/empty')).size).toBe(0)
    expect(statSync(join(held.folder, 'run.sh')).mode & 0o111).toBe(0o111)
    for (const [at, bytes] of tree.chunks.entries()) expect(Buffer.compare(await held.read(at), bytes)).toBe(0)
  })

  it('lays its links out, also where something else has come to lie', async () => {
    const { digest, description } = encodeTree({
      v: 1,
      files: [empty('lib/file')],
      links: [{ path: 'a/lib64', to: '../lib' }],
    })
    const held = await store().begin(description, signal)
    const link = join(held.folder, 'a/lib64')
    expect(readlinkSync(link)).toBe('../lib')
    rmSync(link)
    writeFileSync(link, 'changed')
    expect(readlinkSync(join((await store().hold(digest, signal)).folder, 'a/lib64'))).toBe('../lib')
  })

  it('moves a folder in as it is, and one it has goes away', async () => {
    const trees = store()
    const filled = (): string => {
      const from = trees.newFolder()
      writeFileSync(join(from, 'out.txt'), 'output')
      return from
    }
    const from = filled()
    const held = await trees.take(from, signal)
    expect([held.whole, readFileSync(join(held.folder, 'out.txt'), 'utf8'), existsSync(from)]).toEqual([
      true,
      'output',
      false,
    ])
    const again = filled()
    expect((await trees.take(again, signal)).digest).toBe(held.digest)
    expect(existsSync(again)).toBe(false)
    expect((await store().hold(held.digest, signal)).whole).toBe(true)
    const large = trees.newFolder()
    writeFileSync(join(large, 'large'), '')
    truncateSync(join(large, 'large'), 65 * MiB)
    await expect(trees.take(large, signal)).rejects.toMatchObject({ code: 'E_DISK_BUDGET' })
    expect(existsSync(large)).toBe(true)
  })

  it('takes what is missing of a tree it has in part from a folder that is moved in', async () => {
    const trees = store(8 * MiB)
    const tree = sample(3)
    const filled = (): string => {
      const from = trees.newFolder()
      mkdirSync(join(from, 'data/deep/er'), { recursive: true })
      writeFileSync(join(from, 'data/big.bin'), tree.big)
      writeFileSync(join(from, 'data/deep/er/empty'), '')
      writeFileSync(join(from, 'run.sh'), tree.chunks[3] ?? '', { mode: 0o700 })
      return from
    }
    const begun = await trees.begin(tree.description, signal)
    await begun.write(1, tree.chunks[1] ?? new Uint8Array())
    begun.release()
    const failing = filled()
    const write = vi.spyOn(TreeFolder.prototype, 'write').mockRejectedValueOnce(new Error('no room'))
    await expect(trees.take(failing, signal)).rejects.toThrow('no room')
    write.mockRestore()
    expect(existsSync(join(failing, 'data/big.bin'))).toBe(true)
    const from = filled()
    const held = await trees.take(from, signal)
    expect([held.digest, held.whole, existsSync(from)]).toEqual([tree.digest, true, false])
    for (const [at, bytes] of tree.chunks.entries()) expect(Buffer.compare(await held.read(at), bytes)).toBe(0)
    held.release()
    // Nothing holds it any more, nor did the take that failed.
    const large = encodeTree({ v: 1, files: [fileOf('large', new Uint8Array(7 * MiB))] })
    await trees.begin(large.description, signal)
    expect(trees.has(tree.digest)).toBe(false)
  })

  it('lets go of nothing that is pinned, and knows after a restart what each takes', async () => {
    const [a, b] = [sample(3), sample(5)]
    const trees = store(4 * MiB)
    ;(await fill(trees, a)).release()
    const again = store(4 * MiB)
    expect(again.disk.used).toBe(trees.disk.used)
    const unpin = again.pin(a.digest)
    await expect(again.begin(b.description, signal)).rejects.toMatchObject({ code: 'E_DISK_TAKEN' })
    unpin()
    unpin()
    expect((await again.begin(b.description, signal)).whole).toBe(false)
    expect(() => again.pin(a.digest)).toThrow(expect.objectContaining({ code: 'E_NOT_FOUND' }))
  })

  it('keeps no chunk that is not the one', async () => {
    const tree = sample(3)
    const held = await store().begin(tree.description, signal)
    const [first, second] = tree.chunks
    if (first === undefined || second === undefined) throw new Error('two chunks')
    await expect(held.write(0, second)).rejects.toMatchObject({ code: 'E_BLOB' })
    await expect(held.write(0, first.subarray(1))).rejects.toMatchObject({ code: 'E_BLOB' })
    for (const number of [-1, 4, 0.5, Number.NaN]) {
      await expect(held.write(number, first)).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
    }
    expect([...held.missing()]).toEqual([0, 1, 2, 3])
  })

  it('goes on after a restart with what is right, and not with what was half written or damaged', async () => {
    const tree = sample(3)
    const held = await fill(store(), tree)
    const file = join(held.folder, 'data/big.bin')
    const bytes = readFileSync(file)
    bytes[MiB + 7] = (bytes[MiB + 7] ?? 0) ^ 1
    writeFileSync(file, bytes)
    await expect(held.read(1)).rejects.toMatchObject({ code: 'E_BLOB' })
    expect([...held.missing()]).toEqual([1])
    truncateSync(file, 2 * MiB + 5)
    const again = await store().hold(tree.digest, signal)
    expect([...again.missing()]).toEqual([1, 2])
    expect((await fill(store(), tree)).whole).toBe(true)
  })

  it('parts with what was used longest ago and nobody holds, and with nothing in vain', async () => {
    const [a, b, c] = [sample(3), sample(5), sample(7)]
    const trees = store(6 * MiB)
    ;(await fill(trees, a)).release()
    const second = await fill(trees, b)
    ;(await trees.hold(a.digest, signal)).release()
    const third = await trees.begin(c.description, signal)
    expect([a, b, c].map(({ digest }) => trees.has(digest))).toEqual([false, true, true])
    await expect(trees.begin(a.description, signal)).rejects.toMatchObject({ code: 'E_DISK_TAKEN' })
    expect(trees.disk.used).toBeLessThanOrEqual(6 * MiB)
    second.release()
    second.release()
    third.release()
    await trees.begin(a.description, signal)
    expect([a, b, c].map(({ digest }) => trees.has(digest))).toEqual([true, false, true])
  })

  it('shares its budget with what else can be had again: whichever is unused longest goes for the other', async () => {
    const [a, b] = [sample(3), sample(5)]
    const trees = store(6 * MiB)
    const evicted: number[] = []
    const images = [0, 1].map((number) => ({
      what: 'image' as const,
      cost: 3 * MiB,
      holders: 1,
      evict: async () => evicted.push(number),
    }))
    const [first, second] = images
    if (first === undefined || second === undefined) throw new Error('two images')
    ;(await fill(trees, a)).release()
    await trees.disk.take(first)
    const held = await trees.hold(a.digest, signal)
    expect(() => trees.disk.take(second)).toThrow(expect.objectContaining({ code: 'E_DISK_TAKEN' }))
    await expect(trees.begin(b.description, signal)).rejects.toMatchObject({ code: 'E_DISK_TAKEN' })
    held.release()
    await trees.disk.take(second)
    expect([trees.has(a.digest), trees.disk.usedBy('image'), trees.disk.used]).toEqual([false, 6 * MiB, 6 * MiB])
    first.holders = 0
    second.holders = 0
    trees.disk.touch(first)
    trees.disk.shrink(first, 1 * MiB)
    await trees.begin(b.description, signal)
    expect(evicted).toEqual([1])
    expect(trees.disk.usedBy('image')).toBe(1 * MiB)
    first.cost = 7 * MiB
    expect(() => trees.disk.take(first)).toThrow(expect.objectContaining({ code: 'E_DISK_BUDGET' }))
  })

  it('takes in no tree over its whole budget, and forgets what a lowered one has no room for', async () => {
    const [a, b] = [sample(3), sample(5)]
    const trees = store()
    ;(await fill(trees, a)).release()
    ;(await fill(trees, b)).release()
    const lowered = store(3 * MiB)
    expect(lowered.disk.used).toBeLessThanOrEqual(3 * MiB)
    await until(() => readdirSync(join(folder, 'trees')).length === 1)
    await expect(store(2 * MiB).begin(a.description, signal)).rejects.toMatchObject({ code: 'E_DISK_BUDGET' })
    expect(existsSync(join(folder, 'trees', a.digest))).toBe(false)
  })
})
