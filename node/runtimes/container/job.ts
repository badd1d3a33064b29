/** A job of programs in an image: the image as a folder, and podman's settings, the same for each of its units. */

import { chmod, lstat, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { decodeContainer } from '../../../protocol/command/container.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Brought } from '../program/job-files.ts'
import type { LayJob, ProgramJob } from '../program/sandbox.ts'
import { runUnitProcess } from '../program/unit-process.ts'
import { groupName, removeGroup } from './groups.ts'
import { runTool } from './images.ts'
import { containerLine } from './launch.ts'
import { CONTAINER_DEPTH, makeHome, type PodmanHome } from './podman.ts'
import type { PreparedContainer } from './prepare.ts'
import { givenText, NO_CONTAINER } from './unit-folder.ts'

export const layContainerJob: LayJob<PreparedContainer> = async (prepared, init, files, closing) => {
  const { image: ref, program } = decodeContainer(init.source)
  const { folder: laid, layout } = files.tree(ref)
  const [archive, ...others] = layout.tree.files
  if (archive === undefined || others.length > 0) throw new TalkootError('E_SOURCE', 'an image is a single file')
  const image = await prepared.images.hold(ref.digest, join(laid, archive.path), closing)
  try {
    const given = await files.inputs(program)
    const brought = await files.brought(program.folders)
    const home = await makeHome(await mkdtemp(join(prepared.folder, 'job-')), prepared.tools)
    const group = groupName(basename(home.folder))
    const pidfile = join(home.folder, 'pid')
    const stateFile = join(home.folder, 'state')
    const inputs = { mounts: given?.mounts ?? [], names: join(home.folder, 'given') }
    const rootfs = await withPlaces(brought, image.rootfs, home, closing)
    const place = { rootfs, variables: image.env, inputs, brought, group, pidfile }
    const run: ProgramJob['run'] = async (unit, io, signal) => {
      await rm(pidfile, { force: true })
      await writeFile(inputs.names, givenText([given, unit.own].filter((one) => one !== null)))
      const resumed = io.checkpointing?.resumed
      if (resumed !== undefined) await writeFile(stateFile, resumed)
      const state = resumed === undefined ? null : stateFile
      const podman = containerLine(prepared.tools, { ...place, state }, unit, init)
      const line = [prepared.env, ...Object.entries(home.env).map(([name, value]) => `${name}=${value}`), ...podman]
      const how = { line, handed: [], shut: prepared.shut, user: undefined, depth: CONTAINER_DEPTH }
      const end = await runUnitProcess({ ...how, ...io }, signal)
      if (end.killed !== null) await removeGroup(group)
      else if (end.code === NO_CONTAINER && !(await exists(pidfile))) throw notStarted(end.stderr)
      return { end, file: null }
    }
    const close = async (): Promise<void> => {
      image.release()
      await removeGroup(group)
      await rm(home.folder, { recursive: true, force: true })
    }
    return { program, run, close }
  } catch (error) {
    image.release()
    throw error
  }
}

/**
 * The image with a place for each folder that is brought. All jobs share the one, which is not written to: this one has the same
 * files by second names.
 */
async function withPlaces(
  brought: readonly Brought[],
  rootfs: string,
  home: PodmanHome,
  signal: AbortSignal,
): Promise<string> {
  if (brought.length === 0) return rootfs
  const own = join(home.folder, 'rootfs')
  const { code, stderr } = await runTool(['cp', '-al', rootfs, own], home.env, signal)
  if (code !== 0) throw new TalkootError('E_CONTAINER_UNUSABLE', `an image could not be copied: ${stderr.trim()}`)
  for (const { at } of brought) {
    let folder = own
    for (const name of at.split('/').slice(1)) {
      folder = join(folder, name)
      const facts = await lstat(folder).catch(() => null)
      if (facts === null) await mkdir(folder)
      else if (!facts.isDirectory()) {
        throw new TalkootError('E_SOURCE', `the image has no folder but something else at ${folder.slice(own.length)}`)
      }
      // Whatever the umask, or the image, says: the unit is to reach it.
      if (facts === null) await chmod(folder, 0o755)
    }
  }
  return own
}

const notStarted = (stderr: string): TalkootError =>
  new TalkootError(
    'E_UNIT_CRASHED',
    `podman could not start it: ${stderr.trim().slice(-LIMITS.UNIT_ERROR_MAX_CHARS / 2)}`,
  )

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
