/**
 * How programs are confined: bubblewrap's own options, kept in a file so that they show in no command line, then what is
 * started inside. Every measure is one entry, so a test can take one away.
 */

import { existsSync, lstatSync, readlinkSync } from 'node:fs'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Brought, Inputs } from '../program/job-files.ts'
import {
  FIRST_TO_END,
  type Room,
  SYSTEM,
  searchPath,
  UNIT_FOLDER,
  UNIT_HOST,
  variables,
} from '../program/surroundings.ts'
import type { FilledUnit } from '../program/unit.ts'
import { PIPES_FOLDER } from './unit-script.ts'

export type CommandFacts = {
  bwrap: string
  /** Makes the kernel, short of memory, end a unit before anything of the owner's. */
  choom: string
  /** As seen inside: in /usr. */
  prlimit: string
  env: string
  mkfifo: string
  /** The file with the system call filter, where one is known for this machine. */
  seccomp: string | undefined
  /** Users as the programs see them: one. */
  passwd: string
}

const MIB = 1024 * 1024
/** The file of bubblewrap's options, and the filter. */
const OPTIONS_FD = 3
const FILTER_FD = 4

/** What the loader and Debian's alternatives read. */
const CONFIGURATION = ['/etc/alternatives', '/etc/ld.so.cache', '/etc/ld.so.conf', '/etc/ld.so.conf.d']

/** Where this machine has programs for units. */
export const BINARIES = ['/usr/local/bin', '/usr/bin', '/bin']

/** `pipes`: those of its units. */
export type JobFolders = { pipes: string; inputs?: Inputs | null; brought?: readonly Brought[] }

/** Options of the sandbox of a job. */
export function bubblewrapOptions(facts: CommandFacts, { pipes, inputs = null, brought = [] }: JobFolders): string[] {
  const scratch = (place: string): string[] => [
    '--size',
    String(LIMITS.COMMAND_SCRATCH_MIB * MIB),
    '--perms',
    '1777',
    '--tmpfs',
    place,
  ]
  return [
    ...['--unshare-all', '--unshare-user', '--disable-userns', '--die-with-parent', '--new-session', '--as-pid-1'],
    ...['--uid', '65534', '--gid', '65534', '--hostname', UNIT_HOST, '--cap-drop', 'ALL'],
    ...(facts.seccomp === undefined ? [] : ['--seccomp', String(FILTER_FD)]),
    ...['--size', String(MIB), '--tmpfs', '/'],
    ...SYSTEM.flatMap(systemFolder),
    ...CONFIGURATION.flatMap((path) => ['--ro-bind-try', path, path]),
    ...['--ro-bind', facts.passwd, '/etc/passwd'],
    // Nothing is written there: not the memory of bubblewrap, which has no limits, nor who is ended first.
    ...['--proc', '/proc', '--ro-bind', '/proc/sys', '/proc/sys', '--remount-ro', '/proc'],
    // Zeros to read as well, that cannot be mapped as shared memory that nobody counts.
    ...['--dev', '/dev', '--dev-bind', '/dev/full', '/dev/zero'],
    ...['--ro-bind', pipes, PIPES_FOLDER],
    // `--dev` has a place for shared memory that is not bounded.
    ...['--remount-ro', '/dev', ...scratch('/dev/shm'), ...scratch('/tmp'), ...scratch(UNIT_FOLDER)],
    ...(inputs === null ? [] : inputOptions(inputs)),
    ...brought.flatMap(({ folder, at }) => ['--ro-bind', folder, at]),
    ...['--remount-ro', '/', '--chdir', UNIT_FOLDER],
  ]
}

const inputOptions = ({ mounts, at, names }: Inputs): string[] => [
  ...mounts.flatMap((mount) => ['--ro-bind', mount.folder, mount.at]),
  ...names.flatMap((name) => ['--symlink', `${at}/${name}`, `${UNIT_FOLDER}/${name}`]),
]

/** What is started for a job: its sandbox, and in it a shell. */
export const shellLine = (facts: CommandFacts, room: Room): string[] => [
  ...[facts.choom, '-n', String(FIRST_TO_END), '--', facts.bwrap, '--args', String(OPTIONS_FD)],
  ...['--', facts.prlimit, ...limits(room), '--', '/bin/sh'],
]

/** What the shell starts for a unit: its program, with these variables and no others. */
export function programLine(
  facts: CommandFacts,
  { argv, env }: Pick<FilledUnit, 'argv' | 'env'>,
  { room, brought = [] }: { room: Room; brought?: readonly Brought[] },
): string[] {
  const all = { ...variables(room), PATH: searchPath(brought, BINARIES).join(':'), PWD: UNIT_FOLDER, ...env }
  return [facts.env, '-i', '--', ...Object.entries(all).map(([name, value]) => `${name}=${value}`), ...argv]
}

/** Of each process; that of all together is looked at from outside. */
const limits = ({ cpus, memoryMiB }: Room): string[] => [
  `--data=${(LIMITS.SANDBOX_BASE_MIB + memoryMiB) * MIB}`,
  '--core=0',
  `--nofile=${LIMITS.COMMAND_OPEN_FILES_MAX}`,
  `--nproc=${cpus * LIMITS.UNIT_PROCESSES_MAX}`,
]

function systemFolder(path: string): string[] {
  if (!existsSync(path)) return []
  return lstatSync(path).isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : ['--ro-bind', path, path]
}
