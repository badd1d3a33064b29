/** Finds out whether podman works on this machine, by unpacking an image and running it. */

import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf } from '../../../protocol/canonical.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { DiskBudget } from '../../files/disk-budget.ts'
import { inheritedDescriptors } from '../inherited.ts'
import type { PreparedProgram } from '../program/sandbox.ts'
import { ReachableFolders } from '../reachable-folders.ts'
import type { RuntimeInit } from '../runtime.ts'
import { makeScratch, removeFolder, unitUser } from '../scratch.ts'
import { findTool } from '../tools.ts'
import { callFilter } from './call-filter.ts'
import { groupName, removeAbandonedGroups, removeGroup } from './groups.ts'
import { Images, runTool } from './images.ts'
import { containerLine } from './launch.ts'
import { makeHome, type PodmanTools } from './podman.ts'
import { probeImage } from './probe-image.ts'

export type PreparedContainer = PreparedProgram & {
  tools: PodmanTools
  /** Where `env` is, which gives podman its variables. */
  env: string
  images: Images
}

/**
 * The first that runs a container is taken: some machines have a crun that does not know their control groups, and without any
 * podman takes only crun.
 */
const RUNTIMES = { root: ['runc', 'crun'], user: ['crun'] } as const
/** Layers on top of each other, or copied where that is not possible (in a container, on some file systems). */
const DRIVERS = ['overlay', 'vfs']
const PROBE_ROOM = { cpus: 1, memoryMiB: 64 }

/** @throws E_CONTAINER_UNUSABLE */
export async function prepareContainer(
  { scratchDir, disk }: Required<RuntimeInit>,
  signal: AbortSignal,
): Promise<PreparedContainer> {
  if (process.platform !== 'linux') throw unusable(`this is ${process.platform}`)
  const user = unitUser()
  const podman = await toolFor('podman', ['--version'])
  const [setpriv, unshare, env] = [
    await toolFor('setpriv', ['--version']),
    await toolFor('unshare', ['--version']),
    await toolFor('env', []),
  ]
  const asRoot = user !== undefined
  const names = RUNTIMES[asRoot ? 'root' : 'user']
  const found = await Promise.all(
    names.map(async (name) => ({ name, path: await findTool(name, ['--version'], SYSTEM_FOLDERS) })),
  )
  const runtimes = found.flatMap(({ name, path }) => (path === undefined ? [] : [{ name, path }]))
  if (runtimes.length === 0) {
    throw unusable(
      asRoot ? 'neither runc nor crun is installed' : 'crun is not installed, and the node does not run as root',
    )
  }
  // Never where others can enter, as the node's folder for temporary files is.
  const folder = await makeScratch(scratchDir, undefined)
  try {
    await removeAbandonedGroups()
    const filter = join(folder, 'calls.json')
    await writeFile(filter, await callFilter())
    const places = { tools: { asRoot, podman, setpriv, unshare, filter }, folder, signal }
    const { tools, driver } = await firstThatWorks(places, runtimes)
    const images = new Images({ tools, driver, folder, disk, signal })
    const version = /(\d+(?:\.\d+)*)/.exec((await runTool([podman, '--version'], {}, signal)).stdout)?.[1] ?? '0'
    const uid = user?.uid ?? process.getuid?.() ?? 0
    const probe = { kind: 'container', version, confinement: 'os', deterministic: false, uid } as const
    const inputs = new ReachableFolders({ place: folder, user })
    return { tools, env, images, folder, shut: inheritedDescriptors(), probe, inputs }
  } catch (error) {
    await removeFolder(folder)
    throw error
  }
}

/** Podman's helpers are where only root looks. */
const SYSTEM_FOLDERS = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin']

async function toolFor(name: string, args: string[]): Promise<string> {
  const path = await findTool(name, args)
  if (path === undefined) throw unusable(`${name} is not installed, or does not start`)
  return path
}

type Places = { tools: Omit<PodmanTools, 'runtime'>; folder: string; signal: AbortSignal }

async function firstThatWorks({ tools, folder, signal }: Places, runtimes: readonly PodmanTools['runtime'][]) {
  const { archive, binds } = probeImage()
  const path = join(folder, 'probe.tar')
  await writeFile(path, archive)
  /** With the ways that have it. */
  const faults = new Map<string, string[]>()
  for (const driver of DRIVERS) {
    for (const runtime of runtimes) {
      const way = { tools: { ...tools, runtime }, driver }
      const place = await mkdtemp(join(folder, 'trial-'))
      const fault = await faultOf(way, { archive: path, binds, place, signal })
      await removeFolder(place)
      if (fault === null) return way
      faults.set(fault, [...(faults.get(fault) ?? []), `${runtime.name} on ${driver}`])
    }
  }
  const who = tools.asRoot ? '' : `as user ${process.getuid?.()}: `
  throw unusable(who + [...faults].map(([fault, ways]) => `${ways.join(', ')}: ${fault}`).join('; '))
}

type Way = { tools: PodmanTools; driver: string }
type Trial = { archive: string; binds: string[]; place: string; signal: AbortSignal }

/** What is wrong with this way to run containers; null: nothing. */
async function faultOf({ tools, driver }: Way, { archive, binds, place, signal }: Trial): Promise<string | null> {
  const group = groupName('probe')
  const images = new Images({ tools, driver, folder: place, disk: new DiskBudget(Number.POSITIVE_INFINITY), signal })
  try {
    const { rootfs } = await images.hold(digestOf('probe'), archive, signal)
    const home = await makeHome(join(place, 'probe'), tools)
    const pidfile = join(home.folder, 'pid')
    const inputs = { mounts: [], names: join(home.folder, 'given') }
    const brought = binds.map((path) => ({ folder: path, at: path }))
    const inside = { rootfs, variables: [], inputs, brought, state: null, group, pidfile }
    const unit = { argv: ['/bin/sh', '-c', 'echo $(( 6 * 7 ))'], env: {}, stdin: null, outputs: [] }
    const end = await runTool(containerLine(tools, inside, unit, PROBE_ROOM), home.env, signal)
    return end.code === 0 && end.stdout === '42\n' ? null : end.stderr.trim().slice(-FAULT_MAX_CHARS)
  } catch (thrown) {
    signal.throwIfAborted()
    return TalkootError.from(thrown).message
  } finally {
    await removeGroup(group)
  }
}

const FAULT_MAX_CHARS = 300

const unusable = (why: string): TalkootError => new TalkootError('E_CONTAINER_UNUSABLE', why)
