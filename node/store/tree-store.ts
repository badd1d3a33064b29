/**
 * Trees of files on this disk, each kept as the folder it describes and nothing beside: a chunk is read and written at its
 * place in its file. Which chunks are there is held in memory only; after a restart it is found by hashing, so a node that
 * was killed in mid-write resumes with what is right and nothing else.
 *
 *     const held = await store.begin(description, signal)     room is taken for all of it, others are evicted
 *     for (const chunk of held.missing()) await held.write(chunk, bytes)
 *     held.whole; held.folder                                 laid out: to be mounted read-only
 *     await held.read(chunk)
 *     held.release()                                          from now on it may be evicted
 *
 * What is held or pinned stays. The rest goes when room is wanted, as the budget says, which others may take from as well.
 */

import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DIGEST_PATTERN, type Digest, digestOf } from '../../protocol/canonical.ts'
import { decodeTree } from '../../protocol/data/tree.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { DiskBudget, type Lodger } from '../files/disk-budget.ts'
import { readFolder } from '../files/read-tree.ts'
import { costOf } from './tree-cost.ts'
import { TreeFolder } from './tree-folder.ts'

const DESCRIPTION = 'description'
const FILES = 'files'
/** What the tree takes of the budget, kept so that a start need not read every description. */
const COST = 'cost'
/** Not a tree: on its way in or out. */
const PASSING = '.'

type Entry = Lodger & {
  digest: Digest
  /** It goes with its last holder, unless it is asked for again. */
  unwanted: boolean
  /** Once somebody has held it since the start. */
  opened: Promise<TreeFolder> | null
}

/** A tree while somebody needs it. */
export type HeldTree = Pick<TreeFolder, 'layout' | 'folder' | 'has' | 'missing' | 'whole' | 'read' | 'write'> & {
  digest: Digest
  description: Uint8Array
  /** Of the budget, bytes. */
  cost: number
  release(): void
}

export class TreeStore {
  readonly #folder: string
  readonly disk: DiskBudget
  readonly #trees = new Map<Digest, Entry>()
  #passing = 0

  constructor(init: { folder: string; budgetBytes: number }) {
    this.#folder = init.folder
    this.disk = new DiskBudget(init.budgetBytes)
    mkdirSync(init.folder, { recursive: true, mode: 0o700 })
    this.#find()
  }

  /** On its disk, bytes. */
  get free(): number {
    const { bavail, bsize } = statfsSync(this.#folder)
    return bavail * bsize
  }

  has(digest: Digest): boolean {
    return this.#trees.has(digest)
  }

  digests(): Digest[] {
    return [...this.#trees.keys()]
  }

  /** Nobody needs it any more: it goes, at once or when nobody holds it. */
  async drop(digest: Digest): Promise<void> {
    const entry = this.#trees.get(digest)
    if (entry === undefined) return
    if (entry.holders > 0) entry.unwanted = true
    else await this.disk.evict(entry)
  }

  /** Keeps what is here of a tree, as it is, until it is let go; true of one that is not looked at. @throws E_NOT_FOUND */
  pin(digest: Digest): () => void {
    const entry = this.#trees.get(digest)
    if (entry === undefined) throw absent(digest)
    entry.holders += 1
    entry.unwanted = false
    let pinned = true
    return () => {
      if (pinned) this.#release(entry)
      pinned = false
    }
  }

  /** What is here of a tree, verified. @throws E_NOT_FOUND, and E_TREE when its description was damaged */
  async hold(digest: Digest, signal: AbortSignal): Promise<HeldTree> {
    const entry = this.#trees.get(digest)
    if (entry === undefined) throw absent(digest)
    entry.holders += 1
    entry.unwanted = false
    try {
      const description = await this.#description(entry)
      // Not the signal of the first who asks: others may wait for the same.
      entry.opened ??= TreeFolder.open(this.#place(digest, FILES), decodeTree(description))
      const opening = entry.opened
      const opened = await opening.catch((error: unknown) => {
        // A disk that was full may have room the next time.
        if (entry.opened === opening) entry.opened = null
        throw error
      })
      signal.throwIfAborted()
      this.#touch(entry)
      return this.#lend(entry, opened, description)
    } catch (error) {
      this.#release(entry)
      throw error
    }
  }

  /** Takes room for a tree, unless it is here, and holds it. @throws E_TREE, E_DISK_BUDGET, E_DISK_TAKEN, E_DISK_FULL */
  async begin(description: Uint8Array, signal: AbortSignal): Promise<HeldTree> {
    const tree = decodeTree(description)
    const digest = digestOf(description)
    let gone: Promise<unknown> = Promise.resolve()
    if (!this.#trees.has(digest)) {
      const entry = this.#entry(digest, costOf(tree, description))
      gone = this.disk.take(entry)
      this.#keep(entry, description, (coming) => mkdirSync(join(coming, FILES), { mode: 0o700 }))
    }
    const held = await this.hold(digest, signal)
    await gone
    return held
  }

  /** A new folder on the disk of this store, for files that `take` is to move in. */
  newFolder(): string {
    const folder = this.#passingPlace('new')
    mkdirSync(folder, { mode: 0o700 })
    return folder
  }

  /**
   * Moves in a folder of `newFolder` as the tree it is, and holds it: nothing is copied but what is missing of a tree that
   * is here in part. It is gone from its place, or stays as it was when this throws.
   * @throws E_TREE, E_FILE, E_BLOB when a file changed meanwhile, E_DISK_BUDGET, E_DISK_TAKEN, E_DISK_FULL
   */
  async take(folder: string, signal: AbortSignal): Promise<HeldTree> {
    const { digest, description } = await readFolder(folder, signal)
    if (this.#trees.has(digest)) return await this.#complete(digest, folder, signal)
    const tree = decodeTree(description)
    const entry = this.#entry(digest, costOf(tree, description))
    const gone = this.disk.take(entry)
    this.#keep(entry, description, (coming) => renameSync(folder, join(coming, FILES)))
    entry.opened = Promise.resolve(TreeFolder.whole(this.#place(digest, FILES), tree))
    const held = await this.hold(digest, signal)
    await gone
    return held
  }

  /** A tree that is here, perhaps in part: the rest of it from a folder that has all. */
  async #complete(digest: Digest, folder: string, signal: AbortSignal): Promise<HeldTree> {
    const held = await this.hold(digest, signal)
    try {
      const whole = TreeFolder.whole(folder, held.layout.tree)
      for (const chunk of held.missing()) {
        signal.throwIfAborted()
        await held.write(chunk, await whole.read(chunk))
      }
      await rm(folder, { recursive: true, force: true })
      return held
    } catch (error) {
      held.release()
      throw error
    }
  }

  #lend(entry: Entry, opened: TreeFolder, description: Uint8Array): HeldTree {
    let held = true
    return {
      digest: entry.digest,
      description,
      cost: entry.cost,
      layout: opened.layout,
      folder: opened.folder,
      get whole() {
        return opened.whole
      },
      has: (chunk) => opened.has(chunk),
      missing: () => opened.missing(),
      read: (chunk) => opened.read(chunk),
      write: (chunk, bytes) => opened.write(chunk, bytes),
      release: () => {
        if (held) this.#release(entry)
        held = false
      },
    }
  }

  #release(entry: Entry): void {
    entry.holders -= 1
    if (entry.holders === 0 && entry.unwanted) void this.disk.evict(entry)
  }

  /** On the disk too: what was used last is known after a restart. */
  #touch(entry: Entry): void {
    this.disk.touch(entry)
    const now = new Date()
    utimesSync(this.#place(entry.digest), now, now)
  }

  async #description(entry: Entry): Promise<Uint8Array> {
    const description = await readFile(this.#place(entry.digest, DESCRIPTION))
    if (digestOf(description) === entry.digest) return new Uint8Array(description)
    if (entry.holders === 1) await this.disk.evict(entry)
    throw new TalkootError(
      'E_TREE',
      `the description kept for ${entry.digest} was damaged; the files have been removed`,
    )
  }

  #entry(digest: Digest, cost: number): Entry {
    const evict = () => this.#remove(digest)
    return { what: 'files', digest, cost, holders: 0, evict, unwanted: false, opened: null }
  }

  /** Gone at once by name: killed in the midst, no half of a tree is taken for one. */
  #remove(digest: Digest): Promise<unknown> {
    this.#trees.delete(digest)
    const leaving = this.#passingPlace(digest)
    renameSync(this.#place(digest), leaving)
    // What stays now goes at the next start.
    return rm(leaving, { recursive: true, force: true }).catch(() => undefined)
  }

  /** There by name only when all of it is written. @throws E_DISK_FULL */
  #keep(entry: Entry, description: Uint8Array, layOut: (coming: string) => void): void {
    const { digest, cost } = entry
    const coming = this.#passingPlace(digest)
    try {
      mkdirSync(coming, { mode: 0o700 })
      writeFileSync(join(coming, COST), String(cost), { mode: 0o600 })
      writeFileSync(join(coming, DESCRIPTION), description, { mode: 0o600, flush: true })
      layOut(coming)
      renameSync(coming, this.#place(digest))
    } catch (cause) {
      rmSync(coming, { recursive: true, force: true })
      this.disk.leave(entry)
      throw new TalkootError('E_DISK_FULL', 'the files could not be begun', { cause })
    }
    this.#trees.set(digest, entry)
  }

  #find(): void {
    const found: { entry: Entry; used: number }[] = []
    for (const name of readdirSync(this.#folder)) {
      const place = join(this.#folder, name)
      const cost = DIGEST_PATTERN.test(name) ? costKept(join(place, COST)) : null
      if (cost === null) rmSync(place, { recursive: true, force: true })
      else found.push({ entry: this.#entry(name, cost), used: statSync(place).mtimeMs })
    }
    for (const { entry } of found) this.#trees.set(entry.digest, entry)
    this.disk.adopt(found.sort((a, b) => a.used - b.used).map(({ entry }) => entry))
  }

  #passingPlace(name: string): string {
    return join(this.#folder, `${PASSING}${name}.${this.#passing++}`)
  }

  #place(digest: Digest, ...parts: string[]): string {
    if (!DIGEST_PATTERN.test(digest)) throw new TalkootError('E_TREE', 'not a digest')
    return join(this.#folder, digest, ...parts)
  }
}

const absent = (digest: Digest): TalkootError =>
  new TalkootError('E_NOT_FOUND', `no files with digest ${digest} are kept here`)

/** Null when there is none, as of what was written by half. */
function costKept(file: string): number | null {
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return null
  const cost = Number(readFileSync(file, 'utf8'))
  return Number.isSafeInteger(cost) && cost > 0 ? cost : null
}
