/** How a unit's container is confined: podman's options, each measure one entry. */

import { LIMITS } from '../../../protocol/limits.ts'
import type { Brought } from '../program/job-files.ts'
import { FIRST_TO_END, type Room, searchPath, UNIT_FOLDER, UNIT_HOST, variables } from '../program/surroundings.ts'
import type { FilledUnit } from '../program/unit.ts'
import { confinedLine, type PodmanTools } from './podman.ts'
import { FOLDERS, inUnitFolders } from './unit-folder.ts'

const MIB = 1024 * 1024
/** The user `nobody`: no container has a user of root's. */
export const CONTAINER_UID = 65534

/** `rootfs`: the image as a folder. `variables`: those it sets. */
export type ContainerPlace = {
  rootfs: string
  variables: readonly string[]
  /** Where its files come from, and the file that names them, each name followed by a zero. */
  inputs: { mounts: readonly Brought[]; names: string }
  brought: readonly Brought[]
  /** The file of what the unit goes on from; null: it begins. */
  state: string | null
  /** The name of the control group its processes are in, and of the file that tells that it began. */
  group: string
  pidfile: string
}

export function containerLine(
  tools: PodmanTools,
  { rootfs, variables: ofImage, inputs, brought, state, group, pidfile }: ContainerPlace,
  { argv, env, stdin, outputs }: FilledUnit,
  room: Room,
): string[] {
  const readOnly = (from: string, to: string): string[] => [
    '--mount',
    quoted('type=bind', `src=${from}`, `dst=${to}`, 'ro'),
  ]
  const binds = [...brought, ...inputs.mounts]
  const path = brought.length === 0 ? {} : { PATH: searchPath(brought, [pathOf(ofImage)]).join(':') }
  // What the unit gives comes last and wins.
  const all = [
    ...ofImage,
    ...Object.entries({ ...variables(room), ...path, ...env }).map(([name, value]) => `${name}=${value}`),
  ]
  const podman = [
    ...[tools.podman, 'run', '--rm', '--pull', 'never', '--log-driver', 'none', '--pidfile', pidfile],
    ...(tools.asRoot ? inControlGroup(group, room) : withOneUser(room)),
    ...['--network', 'none', '--no-hosts', '--hostname', UNIT_HOST, '--ipc', 'private'],
    ...(stdin === null ? [] : ['--interactive']),
    ...['--read-only', '--read-only-tmpfs=false', '--cap-drop', 'all'],
    ...['--security-opt', 'no-new-privileges', '--security-opt', `seccomp=${tools.filter}`],
    ...['--user', `${CONTAINER_UID}:${CONTAINER_UID}`, '--passwd=false', '--systemd=false', '--http-proxy=false'],
    ...['--unsetenv-all', '--oom-score-adj', String(FIRST_TO_END), ...limits(room)],
    ...['--shm-size', `${LIMITS.COMMAND_SCRATCH_MIB}m`],
    ...FOLDERS.flatMap(({ outside, inside }) => ['--mount', `type=bind,src=${outside},dst=${inside}`]),
    ...binds.flatMap(({ folder, at }) => readOnly(folder, at)),
    ...['--workdir', UNIT_FOLDER, ...all.flatMap((variable) => ['--env', variable])],
    ...['--entrypoint', JSON.stringify([argv[0]]), '--rootfs', rootfs, ...argv.slice(1)],
  ]
  const user = tools.asRoot ? CONTAINER_UID : null
  const given = { given: inputs.names, state, outputs, out: COLLECTED_FD }
  return confinedLine(tools, inUnitFolders(podman, { user, setpriv: tools.setpriv, ...given }, room))
}

/** The first beyond those every process has. */
const COLLECTED_FD = 3

const pathOf = (variables: readonly string[]): string =>
  variables.findLast((variable) => variable.startsWith('PATH='))?.slice('PATH='.length) ??
  '/usr/local/bin:/usr/bin:/bin'

/** Which counts the processes of a container, and also memory that no process is seen to use. What is seen ends a unit sooner. */
const inControlGroup = (group: string, { cpus, memoryMiB }: Room): string[] => [
  ...['--cgroups', 'no-conmon', '--cgroup-parent', `/${group}`, '--cgroupns', 'private'],
  ...['--pids-limit', String(cpus * LIMITS.UNIT_PROCESSES_MAX), ...processes(PROCESSES_OF_USER)],
  ...['--memory', `${LIMITS.SANDBOX_BASE_MIB + memoryMiB + SCRATCH_FOLDERS * LIMITS.COMMAND_SCRATCH_MIB}m`],
]

/**
 * In a user namespace of its own in podman's, in which the kernel counts its processes apart; the user is the node's outside. There
 * are no control groups that an ordinary user may make on every machine: what they would count is refused by the filter of
 * system calls, as for programs of the machine.
 */
const withOneUser = ({ cpus }: Room): string[] => [
  ...['--cgroups', 'disabled', '--uidmap', `${CONTAINER_UID}:0:1`, '--gidmap', `${CONTAINER_UID}:0:1`],
  // The kernel lets each write who is ended first of its own: nothing is written there.
  ...['--security-opt', 'proc-opts=nosuid,noexec,nodev,ro'],
  ...['--mount', 'type=bind,src=/sys/fs/cgroup,dst=/sys/fs/cgroup,ro'],
  ...processes(cpus * LIMITS.UNIT_PROCESSES_MAX),
]

const processes = (most: number): string[] => ['--ulimit', `nproc=${most}:${most}`]

/** Of each process. */
const limits = ({ memoryMiB }: Room): string[] => [
  ...['--ulimit', `nofile=${LIMITS.COMMAND_OPEN_FILES_MAX}:${LIMITS.COMMAND_OPEN_FILES_MAX}`],
  ...['--ulimit', `data=${dataBytes(memoryMiB)}:${dataBytes(memoryMiB)}`, '--ulimit', 'core=0:0'],
]

/** `/tmp`, `/dev/shm` and the unit's own. */
const SCRATCH_FOLDERS = 3

/** The kernel counts those of all containers of this machine, as they are of one user. */
const PROCESSES_OF_USER = 16_384

const dataBytes = (memoryMiB: number): number => (LIMITS.SANDBOX_BASE_MIB + memoryMiB) * MIB

/** Podman reads what it mounts as a line of CSV. */
const quoted = (...fields: string[]): string => fields.map((field) => `"${field.replaceAll('"', '""')}"`).join(',')
