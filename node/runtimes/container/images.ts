/** Images of this node as plain folders: unpacked once by podman, shared by all sandboxes, the longest unused making room. */

import { spawn } from 'node:child_process'
import { chmod, lstat, mkdir, mkdtemp, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../../protocol/canonical.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import { inspectArchive } from './image-archive.ts'
import { confinedLine, makeHome, type PodmanTools } from './podman.ts'

/** `release` when no sandbox runs from it any more. */
export type HeldImage = { rootfs: string; env: readonly string[]; release(): void }

type Unpacked = { folder: string; rootfs: string; env: readonly string[] }
type Entry = { unpacked: Promise<Unpacked>; holders: number; unwanted: AbortController }

type Init = {
  tools: PodmanTools
  /** How podman stores layers while it puts them together. */
  driver: string
  /** Where images lie: closed to everybody else, as they may hold programs that would run as root. */
  folder: string
  /** Ends what is being unpacked. */
  signal: AbortSignal
}

export class Images {
  readonly #init: Init
  /** Longest unused first. */
  readonly #entries = new Map<Digest, Entry>()

  constructor(init: Init) {
    this.#init = init
  }

  /**
   * `archive`: the image named by the digest, as a file. Unpacking ends when nobody waits for it any more.
   * @throws E_IMAGE, E_DISK_FULL
   */
  async hold(digest: Digest, archive: string, signal: AbortSignal): Promise<HeldImage> {
    signal.throwIfAborted()
    const entry = this.#entries.get(digest) ?? this.#begin(archive)
    this.#entries.delete(digest)
    this.#entries.set(digest, entry)
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

  #begin(archive: string): Entry {
    const unwanted = new AbortController()
    const signal = AbortSignal.any([this.#init.signal, unwanted.signal])
    return { unpacked: this.#unpack(archive, signal), holders: 0, unwanted }
  }

  async #unpack(archive: string, signal: AbortSignal): Promise<Unpacked> {
    const { tools, driver, folder: parent } = this.#init
    await this.#makeRoom()
    const { transport, env } = await inspectArchive(archive, signal)
    const folder = await mkdtemp(join(parent, 'image-'))
    const watch = await watchRoom(parent)
    try {
      const layers = { driver, folder: join(folder, 'layers') }
      const home = await makeHome(join(folder, 'podman'), tools, layers)
      const rootfs = join(folder, 'rootfs')
      const script = [UNPACK, 'sh', `${transport}:${archive}`, rootfs]
      const bounded = AbortSignal.any([signal, watch.signal])
      const end = await runTool(confinedLine(tools, ['/bin/sh', '-c', ...script]), home.env, bounded)
      if (end.code !== 0) throw refusal(end.stderr)
      for (const path of [layers.folder, home.folder]) await rm(path, { recursive: true, force: true })
      await makePlaces(rootfs)
      return { folder, rootfs, env }
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw error
    } finally {
      watch.stop()
    }
  }

  async #makeRoom(): Promise<void> {
    for (const [digest, { holders, unpacked }] of this.#entries) {
      if (this.#entries.size < LIMITS.IMAGES_KEPT_MAX) return
      if (holders > 0) continue
      this.#entries.delete(digest)
      const { folder } = await unpacked.catch(() => ({ folder: null }))
      if (folder !== null) await rm(folder, { recursive: true, force: true })
    }
  }
}

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

/** Podman puts the layers together; devices, sockets and the right to become another user are left out. */
const UNPACK = `set -eu
id=$(podman pull --quiet "$1")
from=$(podman image mount "$id")
mkdir "$2"
cp -a "$from/." "$2/"
find "$2" -xdev ! -type f ! -type d ! -type l -delete
find "$2" -xdev -type f -perm /6000 -exec chmod ug-s {} +
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
