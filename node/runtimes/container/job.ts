/** A job of programs in an image: the image as a folder, and podman's settings, the same for each of its units. */

import { mkdtemp, realpath, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { decodeContainer } from '../../../protocol/command/container.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Inputs } from '../program/job-files.ts'
import type { LayJob, ProgramJob } from '../program/sandbox.ts'
import { runUnitProcess } from '../program/unit-process.ts'
import { groupName, removeGroup } from './groups.ts'
import { containerLine } from './launch.ts'
import { CONTAINER_DEPTH, makeHome } from './podman.ts'
import type { PreparedContainer } from './prepare.ts'

export const layContainerJob: LayJob<PreparedContainer> = async (prepared, init, files, closing) => {
  const { image: ref, program } = decodeContainer(init.source)
  const { folder: laid, layout } = files.tree(ref)
  const [archive, ...others] = layout.tree.files
  if (archive === undefined || others.length > 0) throw new TalkootError('E_SOURCE', 'an image is a single file')
  const image = await prepared.images.hold(ref.digest, join(laid, archive.path), closing)
  try {
    const inputs = program.inputs === null ? null : await files.inputs(program.inputs)
    if (inputs !== null) await checkLinks(inputs)
    const home = await makeHome(await mkdtemp(join(prepared.folder, 'job-')), prepared.tools)
    const group = groupName(basename(home.folder))
    const pidfile = join(home.folder, 'pid')
    const place = { rootfs: image.rootfs, variables: image.env, inputs, group, pidfile }
    const run: ProgramJob['run'] = async (unit, io, signal) => {
      await rm(pidfile, { force: true })
      const podman = containerLine(prepared.tools, place, { ...unit, stdin: unit.stdin !== null }, init)
      const line = [prepared.env, ...Object.entries(home.env).map(([name, value]) => `${name}=${value}`), ...podman]
      const how = { line, handed: [], shut: prepared.shut, user: undefined, depth: CONTAINER_DEPTH }
      // Nothing can be laid down in a container before its program begins.
      const end = await runUnitProcess({ ...how, ...io, checkpointing: undefined }, signal)
      if (end.killed !== null) await removeGroup(group)
      else if (end.code === PODMAN_FAILED && !(await exists(pidfile))) throw notStarted(end.stderr)
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

/** Podman mounts what a link leads to on this machine. */
async function checkLinks({ folder, names }: Inputs): Promise<void> {
  const root = await realpath(folder)
  for (const name of names) {
    const to = await realpath(join(root, name)).catch(() => '')
    if (to.startsWith(`${root}/`)) continue
    throw new TalkootError('E_SOURCE', `${name} is a link to what is installed: an image has its own`)
  }
}

/** Podman's own exit code, when it is not the container's: podman-run(1). */
const PODMAN_FAILED = 125

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
