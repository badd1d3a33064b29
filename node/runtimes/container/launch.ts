/** How a unit's container is confined: podman's options, each measure one entry. */

import { LIMITS } from '../../../protocol/limits.ts'
import type { Brought } from '../program/job-files.ts'
import {
  FIRST_TO_END,
  INPUTS_FOLDER,
  type Room,
  searchPath,
  UNIT_FOLDER,
  UNIT_HOST,
  variables,
} from '../program/surroundings.ts'
import type { FilledUnit } from '../program/unit.ts'
import { confinedLine, type PodmanTools } from './podman.ts'
import { FOLDER_OUTSIDE, inUnitFolder } from './unit-folder.ts'

const MIB = 1024 * 1024
/** The user `nobody`: no container has a user of root's. */
export const CONTAINER_UID = 65534

/** `rootfs`: the image as a folder. `variables`: those it sets. */
export type ContainerPlace = {
  rootfs: string
  variables: readonly string[]
  /** The folder of its files, and the file that names them, each name followed by a zero. */
  inputs: { folder: string | null; names: string }
  brought: readonly Brought[]
  /** The name of the control group its processes are in, and of the file that tells that it began. */
  group: string
  pidfile: string
}

export function containerLine(
  tools: PodmanTools,
  { rootfs, variables: ofImage, inputs, brought, group, pidfile }: ContainerPlace,
  { argv, env, stdin, outputs }: FilledUnit,
  room: Room,
): string[] {
  const memory = `tmpfs-size=${LIMITS.COMMAND_SCRATCH_MIB * MIB}`
  const scratch = (place: string): string[] => ['--mount', `type=tmpfs,dst=${place},${memory},notmpcopyup`]
  const readOnly = (from: string, to: string): string[] => [
    '--mount',
    quoted('type=bind', `src=${from}`, `dst=${to}`, 'ro'),
  ]
  const binds = [...brought, ...(inputs.folder === null ? [] : [{ folder: inputs.folder, at: INPUTS_FOLDER }])]
  const path = brought.length === 0 ? {} : { PATH: searchPath(brought, [pathOf(ofImage)]).join(':') }
  // What the unit gives comes last and wins.
  const all = [
    ...ofImage,
    ...Object.entries({ ...variables(room), ...path, ...env }).map(([name, value]) => `${name}=${value}`),
  ]
  const podman = [
    ...[tools.podman, 'run', '--rm', '--pull', 'never', '--log-driver', 'none', '--cgroups', 'no-conmon'],
    ...['--cgroup-parent', `/${group}`, '--pidfile', pidfile, ...(stdin === null ? [] : ['--interactive'])],
    ...['--network', 'none', '--no-hosts', '--hostname', UNIT_HOST, '--ipc', 'private', '--cgroupns', 'private'],
    ...['--read-only', '--read-only-tmpfs=false', '--cap-drop', 'all'],
    ...['--security-opt', 'no-new-privileges', '--security-opt', `seccomp=${tools.filter}`],
    ...['--user', `${CONTAINER_UID}:${CONTAINER_UID}`, '--passwd=false', '--systemd=false', '--http-proxy=false'],
    ...['--unsetenv-all', '--oom-score-adj', String(FIRST_TO_END), ...limits(room)],
    ...['--shm-size', `${LIMITS.COMMAND_SCRATCH_MIB}m`, ...scratch('/tmp')],
    ...['--mount', `type=bind,src=${FOLDER_OUTSIDE},dst=${UNIT_FOLDER}`],
    ...binds.flatMap(({ folder, at }) => readOnly(folder, at)),
    ...['--workdir', UNIT_FOLDER, ...all.flatMap((variable) => ['--env', variable])],
    ...['--entrypoint', JSON.stringify([argv[0]]), '--rootfs', rootfs, ...argv.slice(1)],
  ]
  const folder = { user: CONTAINER_UID, given: inputs.names, setpriv: tools.setpriv, outputs, out: COLLECTED_FD }
  return confinedLine(tools, inUnitFolder(podman, folder, room))
}

/** The first beyond those every process has. */
const COLLECTED_FD = 3

const pathOf = (variables: readonly string[]): string =>
  variables.findLast((variable) => variable.startsWith('PATH='))?.slice('PATH='.length) ??
  '/usr/local/bin:/usr/bin:/bin'

/** Of each process but for the last: control groups count them for the container. */
const limits = ({ cpus, memoryMiB }: Room): string[] => [
  ...['--ulimit', `nofile=${LIMITS.COMMAND_OPEN_FILES_MAX}:${LIMITS.COMMAND_OPEN_FILES_MAX}`],
  ...['--ulimit', `data=${dataBytes(memoryMiB)}:${dataBytes(memoryMiB)}`, '--ulimit', 'core=0:0'],
  ...['--ulimit', `nproc=${PROCESSES_OF_USER}:${PROCESSES_OF_USER}`],
  ...['--pids-limit', String(cpus * LIMITS.UNIT_PROCESSES_MAX)],
  // Also what no process is seen to use: memfd, System V, the folders in memory. What is seen ends a unit sooner.
  ...['--memory', `${LIMITS.SANDBOX_BASE_MIB + memoryMiB + SCRATCH_FOLDERS * LIMITS.COMMAND_SCRATCH_MIB}m`],
]

/** `/tmp`, `/dev/shm` and the unit's own. */
const SCRATCH_FOLDERS = 3

/** The kernel counts those of all containers of this machine, as they are of one user. */
const PROCESSES_OF_USER = 16_384

const dataBytes = (memoryMiB: number): number => (LIMITS.SANDBOX_BASE_MIB + memoryMiB) * MIB

/** Podman reads what it mounts as a line of CSV. */
const quoted = (...fields: string[]): string => fields.map((field) => `"${field.replaceAll('"', '""')}"`).join(',')
