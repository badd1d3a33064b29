/** The exact command line of a sandbox process, as plain data. Every measure is one entry, so a test can take one away. */

import { basename } from 'node:path'
import { LIMITS } from '../../../protocol/limits.ts'
import type { HarnessFiles } from './bundle.ts'
import type { SandboxedKind } from './frames.ts'

export type LaunchFacts = HarnessFiles & {
  /** Files that the harness imports, in its own folder. */
  beside?: readonly string[]
  deno: string
  /** Absolute paths, or undefined where the tool is missing or does not work. */
  bwrap: string | undefined
  prlimit: string | undefined
  setpriv: string | undefined
  /** The file with the system call filter, where one is known for this machine. */
  seccomp: string | undefined
  /** Shared libraries of deno and prlimit, the loader included. Needed with bwrap only. */
  libraries: readonly string[]
  /** Descriptors of this node that a unit must not have. */
  inherited: readonly number[]
  /** The user units run as, when it is not the node's own. */
  user: { uid: number; gid: number } | undefined
}

/** Outermost first: bwrap or setpriv [its arguments] prlimit [its arguments] deno [its arguments]. */
export type LaunchPlan = {
  bwrap: string[]
  setpriv: string[]
  prlimit: string[]
  deno: string[]
  env: Record<string, string>
  cwd: string
  /** Files opened for reading and handed over as descriptors from 3 on. */
  handed: string[]
  /** Descriptors that lead nowhere, unless one is handed over in their place. */
  shut: readonly number[]
  user: LaunchFacts['user']
}

const ENV = { TZ: 'UTC', LANG: 'C', NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1', DENO_DIR: '/dev/null/none' }
const MIB = 1024 * 1024
const WASM_PAGE_BYTES = 64 * 1024

/** Where the files of a job are inside of bubblewrap. */
const INPUTS = '/inputs'

/** The folder of a job's files as its process sees it. */
export const seenFolder = ({ bwrap }: LaunchFacts, folder: string): string => (bwrap === undefined ? folder : INPUTS)

/** `within`: with bubblewrap, what is mounted in that folder, at a place there. */
export type ShownFolder = { folder: string; within?: readonly (readonly [folder: string, at: string])[] }

/** `inputs`: the folder of the files the job brings, which is all it may read; null: it brings none. */
export function planLaunch(
  facts: LaunchFacts,
  memoryMiB: number,
  kind: SandboxedKind = 'js',
  inputs: ShownFolder | null = null,
): LaunchPlan {
  const inside = facts.bwrap !== undefined
  const harness = inside ? '/harness.js' : facts.harness
  const importMap = inside ? '/imports.json' : facts.importMap
  return {
    bwrap: facts.bwrap === undefined ? [] : [facts.bwrap, ...bwrapArguments(facts, inputs)],
    // Without bubblewrap, a unit that loops would outlive a node that was killed.
    setpriv: inside || facts.setpriv === undefined ? [] : [facts.setpriv, '--pdeathsig', 'KILL', '--no-new-privs'],
    prlimit:
      facts.prlimit === undefined ? [] : [inside ? '/prlimit' : facts.prlimit, ...limits(memoryMiB, kind, inside)],
    deno: [
      inside ? '/deno' : facts.deno,
      'run',
      ...denoArguments(memoryMiB, kind),
      ...(inputs === null ? [] : [`--allow-read=${inside ? INPUTS : '.'}`]),
      `--import-map=${importMap}`,
      harness,
    ],
    env: ENV,
    // Deno takes a list of paths, in which none can have a comma: without bubblewrap the folder is `.` to it.
    cwd: inside || inputs === null ? '/' : inputs.folder,
    handed: inside && facts.seccomp !== undefined ? [facts.seccomp] : [],
    shut: facts.inherited,
    user: facts.user,
  }
}

export function commandOf(plan: LaunchPlan): { file: string; args: string[] } {
  const [file = '', ...args] = [...plan.bwrap, ...plan.setpriv, ...plan.prlimit, ...plan.deno]
  return { file, args }
}

function bwrapArguments(facts: LaunchFacts, inputs: ShownFolder | null): string[] {
  const { deno, harness, importMap, prlimit, seccomp, libraries } = facts
  const files = [
    ...libraries.map((path) => [path, path]),
    [deno, '/deno'],
    [harness, '/harness.js'],
    [importMap, '/imports.json'],
  ]
  for (const path of facts.beside ?? []) files.push([path, `/${basename(path)}`])
  if (prlimit !== undefined) files.push([prlimit, '/prlimit'])
  if (inputs !== null) files.push([inputs.folder, INPUTS])
  for (const [folder, at] of inputs?.within ?? []) files.push([folder, `${INPUTS}/${at}`])
  return [
    ...['--unshare-all', '--unshare-user', '--disable-userns', '--die-with-parent', '--new-session', '--as-pid-1'],
    ...['--clearenv', ...Object.entries(ENV).flatMap(([name, value]) => ['--setenv', name, value])],
    ...['--uid', '65534', '--gid', '65534', '--hostname', 'unit', '--cap-drop', 'ALL'],
    ...(seccomp === undefined ? [] : ['--seccomp', '3']),
    ...['--size', String(MIB), '--tmpfs', '/'],
    ...files.flatMap(([from = '', to = '']) => ['--ro-bind', from, to]),
    ...['--proc', '/proc', '--ro-bind', '/proc/sys', '/proc/sys', '--dev', '/dev'],
    // `--dev` has a place for shared memory that is not bounded.
    ...['--remount-ro', '/dev', '--remount-ro', '/', '--chdir', '/', '--'],
  ]
}

/** `data` covers array buffers and WebAssembly memories, which V8's own heap limit does not. */
function limits(memoryMiB: number, kind: SandboxedKind, inside: boolean): string[] {
  const baseMiB = LIMITS.SANDBOX_BASE_MIB + (kind === 'python' ? LIMITS.PYTHON_BASE_MIB : 0)
  const shared = [
    `--data=${(baseMiB + memoryMiB) * MIB}`,
    '--core=0',
    `--nofile=${LIMITS.SANDBOX_OPEN_FILES_MAX}`,
    `--fsize=${kind === 'python' ? LIMITS.PYTHON_FILE_MAX_BYTES : LIMITS.SANDBOX_FILE_MAX_BYTES}`,
    ...(kind === 'python' ? [`--stack=${LIMITS.PYTHON_STACK_MIB * MIB}`] : []),
  ]
  // Counted per user namespace: outside of one it would count all the user's own processes.
  return inside ? [...shared, `--nproc=${LIMITS.UNIT_PROCESSES_MAX}`] : shared
}

function denoArguments(memoryMiB: number, kind: SandboxedKind): string[] {
  return [
    ...['--no-prompt', '--no-remote', '--no-npm', '--no-config', '--no-lock', '--deny-import', '--cached-only'],
    ...['--no-check', '--no-code-cache', `--v8-flags=${v8Flags(memoryMiB, kind).join()}`],
    // What is imported as text or bytes is read when the harness starts; units import nothing.
    ...(kind === 'python' ? ['--unstable-raw-imports'] : []),
  ]
}

function v8Flags(memoryMiB: number, kind: SandboxedKind): string[] {
  const pages = (mib: number): string => `--wasm-max-mem-pages=${(mib * MIB) / WASM_PAGE_BYTES}`
  if (kind === 'python') {
    // Python tells calls too deep by its own stack, the same everywhere, if V8's, which is not, ends later.
    const stackKiB = (LIMITS.PYTHON_STACK_MIB - 1) * 1024
    return [
      `--max-old-space-size=${LIMITS.PYTHON_HEAP_MIB}`,
      `--stack-size=${stackKiB}`,
      '--expose-gc',
      pages(LIMITS.PYTHON_INTERPRETER_MIB + memoryMiB),
    ]
  }
  const heap = `--max-old-space-size=${memoryMiB}`
  // All that a module has is its memory; scripts have array buffers as well, which only `data` bounds.
  return kind === 'js' ? [heap] : [heap, pages(memoryMiB)]
}
