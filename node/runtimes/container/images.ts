/** Images of this node as plain folders: unpacked once by podman, shared by all sandboxes, within the owner's disk. */

import { spawn } from 'node:child_process'
import { chmod, lstat, mkdir, mkdtemp, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../../protocol/canonical.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { DiskBudget, Lodger } from '../../files/disk-budget.ts'
import { removeFolder } from '../scratch.ts'
import { inspectArchive } from './image-archive.ts'
import { confinedLine, makeHome, type PodmanTools } from './podman.ts'

/** `release` when no sandbox runs from it any more. */
export type HeldImage = { rootfs: string; env: readonly string[]; release(): void }

type Unpacked = { folder: string; rootfs: string; env: readonly string[] }
type Entry = Lodger & { unpacked: Promise<Unpacked>; unwanted: AbortController }

type Init = {
  tools: PodmanTools
  /** How podman stores layers while it puts them together. */
  driver: string
  /** Where images lie: closed to everybody else, as they may hold programs that would run as root. */
  folder: string
  disk: DiskBudget
  /** Ends what is being unpacked. */
  signal: AbortSignal
}

export class Images {
  readonly #init: Init
  readonly #entries = new Map<Digest, Entry>()

  constructor(init: Init) {
    this.#init = init
  }

  /**
   * `archive`: the image named by the digest, as a file. Unpacking ends when nobody waits for it any more.
   * @throws E_IMAGE, E_DISK_FULL, E_DISK_BUDGET, E_DISK_TAKEN
   */
  async hold(digest: Digest, archive: string, signal: AbortSignal): Promise<HeldImage> {
    signal.throwIfAborted()
    const entry = this.#entries.get(digest) ?? this.#begin(digest, archive)
    this.#init.disk.touch(entry)
    entry.holders += 1
    let held = true
    const release = (): void => {
      if (held) entry.holders -= 1
      held = false
    }
    const leave = (): void => {
      release()
      if (entry.holders > 0) return
      if (this.#entries.get(digest) === entry) this.#entries.delete(digest)
      entry.unwanted.abort(signal.reason)
    }
    signal.addEventListener('abort', leave)
    try {
      const { rootfs, env } = await entry.unpacked
      signal.throwIfAborted()
      return { rootfs, env, release }
    } catch (error) {
      if (this.#entries.get(digest) === entry) this.#entries.delete(digest)
      throw error
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }

  #begin(digest: Digest, archive: string): Entry {
    const unwanted = new AbortController()
    const signal = AbortSignal.any([this.#init.signal, unwanted.signal])
    const { promise: unpacked, resolve } = Promise.withResolvers<Unpacked>()
    const evict = async (): Promise<void> => {
      if (this.#entries.get(digest) === entry) this.#entries.delete(digest)
      // What stays now goes with the runtime.
      await removeFolder((await unpacked).folder).catch(() => undefined)
    }
    const entry: Entry = { what: 'image', cost: 0, holders: 0, evict, unpacked, unwanted }
    this.#entries.set(digest, entry)
    resolve(this.#unpack(archive, entry, signal))
    return entry
  }

  /** Of the disk it takes what its layers and podman's copies of them do, until it is a folder. */
  async #unpack(archive: string, entry: Entry, signal: AbortSignal): Promise<Unpacked> {
    const { driver, disk } = this.#init
    const { transport, env, layers } = await inspectArchive(archive, signal)
    const bytes = layers.reduce((sum, layer) => sum + layer, 0)
    entry.cost = bytes + storedBytes(driver, layers)
    try {
      await disk.take(entry)
      const { folder, rootfs } = await this.#layOut(`${transport}:${archive}`, signal)
      disk.shrink(entry, bytes)
      return { folder, rootfs, env }
    } catch (error) {
      disk.leave(entry)
      throw error
    }
  }

  async #layOut(image: string, signal: AbortSignal): Promise<Pick<Unpacked, 'folder' | 'rootfs'>> {
    const { tools, driver, folder: parent } = this.#init
    const folder = await mkdtemp(join(parent, 'image-'))
    const watch = await watchRoom(parent)
    try {
      const layers = { driver, folder: join(folder, 'layers') }
      const home = await makeHome(join(folder, 'podman'), tools, layers)
      const rootfs = join(folder, 'rootfs')
      const bounded = AbortSignal.any([signal, watch.signal])
      const line = confinedLine(tools, ['/bin/sh', '-c', UNPACK, 'sh', image, rootfs])
      const end = await runTool(line, home.env, bounded)
      if (end.code !== 0) throw refusal(end.stderr)
      for (const path of [layers.folder, home.folder]) await removeFolder(path)
      await makePlaces(rootfs)
      return { folder, rootfs }
    } catch (error) {
      await removeFolder(folder)
      throw error
    } finally {
      watch.stop()
    }
  }
}

/** What podman keeps: `vfs` copies for each layer all below it. */
const storedBytes = (driver: string, layers: readonly number[]): number =>
  layers.reduce((sum, layer, at) => sum + layer * (driver === 'vfs' ? layers.length - at : 1), 0)

/** What is measured before is what this node reads of an image: what podman reads may be more, and `vfs` copies each layer whole. */
async function watchRoom(folder: string): Promise<{ signal: AbortSignal; stop(): void }> {
  const over = new AbortController()
  const least = Math.max((await freeBytes(folder)) - UNPACKING_MAX_BYTES, LEFT_FREE_BYTES)
  const look = async (): Promise<void> => {
    if ((await freeBytes(folder)) < least) over.abort(new TalkootError('E_IMAGE', 'the image takes too much room'))
  }
  const timer = setInterval(() => void look().catch(() => undefined), LOOK_MS)
  return { signal: over.signal, stop: () => clearInterval(timer) }
}

/** Layers, podman's copies of them, the folder. */
const UNPACKING_MAX_BYTES = 3 * LIMITS.IMAGE_MAX_BYTES
const LEFT_FREE_BYTES = 1024 ** 3
const LOOK_MS = 200

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

/**
 * Podman puts the layers together; devices, sockets and the right to become another user are left out. An ordinary user can
 * remove only folders that are open to him.
 */
const UNPACK = `set -eu
id=$(podman pull --quiet "$1")
from=$(podman image mount "$id")
mkdir "$2"
cp -a "$from/." "$2/"
find "$2" -xdev ! -type f ! -type d ! -type l -delete
find "$2" -xdev -type f -perm /6000 -exec chmod ug-s {} +
find "$2" -xdev -type d ! -perm -700 -exec chmod u+rwx {} +
`

/**
 * What is mounted over must be there, as a folder of its own: of an image, a link would lead elsewhere. Only its owner can
 * write in a folder in memory that is mounted over one of which that is true.
 */
async function makePlaces(rootfs: string): Promise<void> {
  await chmod(rootfs, 0o755)
  for (const [name, mode] of PLACES) {
    const place = join(rootfs, name)
    const facts = await lstat(place).catch(() => null)
    if (facts?.isDirectory() !== true) {
      await rm(place, { force: true })
      await mkdir(place)
    }
    await chmod(place, mode)
  }
}

const PLACES = [
  ['tmp', 0o1777],
  ['unit', 0o1777],
  ...['dev', 'etc', 'inputs', 'proc', 'run', 'sys'].map((name) => [name, 0o755] as const),
] as const

function refusal(stderr: string): TalkootError {
  // Of which it says, too, that there is no space left.
  if (stderr.startsWith('unshare: ')) {
    const where = 'see sysctl user.max_user_namespaces, and AppArmor'
    return new TalkootError('E_CONTAINER_UNUSABLE', `no namespaces may be made here (${where}): ${stderr.trim()}`)
  }
  if (/no space left/i.test(stderr)) return new TalkootError('E_DISK_FULL', 'the image could not be unpacked')
  return new TalkootError(
    'E_IMAGE',
    `podman does not take the image: ${stderr.trim().slice(-LIMITS.UNIT_ERROR_MAX_CHARS / 2)}`,
  )
}

export type ToolEnd = { code: number | null; stdout: string; stderr: string }

/** Of a tool whose output is short; what is beyond is not kept. */
export async function runTool(
  line: readonly string[],
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<ToolEnd> {
  signal.throwIfAborted()
  const [file = '', ...args] = line
  const child = spawn(file, args, { cwd: '/', env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] = (texts[name] + text).slice(-LIMITS.UNIT_LOG_MAX_CHARS)
    })
  }
  const abort = (): void => void child.kill('SIGKILL')
  signal.addEventListener('abort', abort)
  try {
    return await new Promise<ToolEnd>((resolve) => {
      child.once('error', (error) => resolve({ code: null, stdout: '', stderr: error.message }))
      child.once('close', (code) => resolve({ code, ...texts }))
    })
  } finally {
    signal.removeEventListener('abort', abort)
    signal.throwIfAborted()
  }
}
