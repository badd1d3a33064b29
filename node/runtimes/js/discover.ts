/** What this machine has for a sandbox, found by running it: paths are never believed. */

import { execFile } from 'node:child_process'
import { chmod, copyFile, link, lstat, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { TalkootError } from '../../../protocol/errors.ts'
import type { Confinement } from '../runtime.ts'
import { writeHarness } from './bundle.ts'
import { inheritedDescriptors } from './inherited.ts'
import type { LaunchFacts } from './launch.ts'
import { seccompFilter } from './seccomp.ts'

const run = promisify(execFile)
/** Followed by the node's process id. */
const FOLDER = 'talkoot-sandbox-'
const TOOL_TIMEOUT_MS = 10_000
/** The user `nobody`: units of a node started as root run as it. */
const UNPRIVILEGED = { uid: 65534, gid: 65534 }

export type Discovery = { facts: LaunchFacts; warnings: string[] /** Removed on stop. */; folder: string }

/** @throws E_RUNTIME_MISSING, E_ROOT */
export async function discover(scratchDir: string, confinement: Confinement, denoPath?: string): Promise<Discovery> {
  const user = process.getuid?.() === 0 ? UNPRIVILEGED : undefined
  // A state folder is private, and root's is closed to the user units run as.
  await mkdir(scratchDir, { recursive: true, mode: 0o700 })
  const parent = user === undefined ? scratchDir : await openFolder()
  await removeAbandoned(parent)
  const folder = await mkdtemp(join(parent, `${FOLDER}${process.pid}-`))
  try {
    if (user !== undefined) await chmod(folder, 0o711)
    const deno = await denoFor(denoPath ?? denoBinary(), user, folder)
    const prlimit = await findTool('prlimit', ['--version'])
    const setpriv = await findTool('setpriv', ['--pdeathsig', 'KILL', 'true'])
    const libraries = confinement === 'os' ? await librariesOf([deno, ...(prlimit === undefined ? [] : [prlimit])]) : []
    const bwrap = confinement === 'os' ? await findTool('bwrap', ['--version']) : undefined
    const warnings: string[] = []
    if (prlimit === undefined) warnings.push('prlimit is missing: memory outside the V8 heap has no bound')
    if (confinement === 'os' && bwrap === undefined) warnings.push('bubblewrap is missing')
    return {
      facts: {
        ...(await writeHarness(folder)),
        deno,
        bwrap,
        prlimit,
        setpriv,
        seccomp: await writeFilter(folder),
        libraries,
        inherited: inheritedDescriptors(),
        user,
      },
      warnings,
      folder,
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw TalkootError.from(error, 'E_RUNTIME_MISSING')
  }
}

async function writeFilter(folder: string): Promise<string | undefined> {
  const filter = seccompFilter(process.arch)
  if (filter === undefined) return undefined
  const path = join(folder, 'seccomp.bpf')
  await writeFile(path, filter)
  return path
}

/** A folder for temporary files that any user can reach into. @throws E_ROOT */
async function openFolder(): Promise<string> {
  for (const folder of [tmpdir(), '/tmp', '/var/tmp']) if (await isOpenToAll(folder)) return folder
  throw new TalkootError('E_ROOT', 'no temporary folder can be entered by the user units run as')
}

async function isOpenToAll(folder: string): Promise<boolean> {
  const facts = await stat(folder).catch(() => undefined)
  if (facts === undefined || (facts.mode & 0o001) === 0) return false
  return folder === dirname(folder) || (await isOpenToAll(dirname(folder)))
}

/** Folders of this user's nodes that were killed before they could remove them. */
async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = name.startsWith(FOLDER) ? Number.parseInt(name.slice(FOLDER.length), 10) : Number.NaN
    if (!(pid > 0) || isRunning(pid) || !(await isOurs(join(parent, name)))) continue
    await rm(join(parent, name), { recursive: true, force: true }).catch(() => undefined)
  }
}

/** Anyone may make a folder of such a name where all can write, and lead whoever removes it elsewhere by a link. */
async function isOurs(folder: string): Promise<boolean> {
  const facts = await lstat(folder).catch(() => undefined)
  return facts?.isDirectory() === true && (process.getuid === undefined || facts.uid === process.getuid())
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** The binary of the `deno` package itself, or a link or copy where the user can read it. */
async function denoFor(deno: string, user: LaunchFacts['user'], folder: string): Promise<string> {
  if (user === undefined) return deno
  const refusal = await startsAs(deno, user)
  if (refusal === undefined) return deno
  if (refusal === 'EPERM' || refusal === 'EINVAL') {
    throw new TalkootError('E_ROOT', 'this root user may not start processes as another user')
  }
  const staged = join(folder, 'deno')
  await link(deno, staged).catch(() => copyFile(deno, staged))
  await chmod(staged, 0o755)
  return staged
}

function denoBinary(): string {
  const platform = process.platform === 'linux' ? `linux-${process.arch}-glibc` : `${process.platform}-${process.arch}`
  try {
    const ofPackage = createRequire(createRequire(import.meta.url).resolve('deno/package.json'))
    const folder = dirname(ofPackage.resolve(`@deno/${platform}/package.json`))
    return join(folder, process.platform === 'win32' ? 'deno.exe' : 'deno')
  } catch (cause) {
    throw new TalkootError('E_RUNTIME_MISSING', `the deno package has no binary for ${platform}`, { cause })
  }
}

async function startsAs(deno: string, user: { uid: number; gid: number }): Promise<string | undefined> {
  try {
    await run(deno, ['--version'], { ...user, env: {}, cwd: '/', timeout: TOOL_TIMEOUT_MS })
    return undefined
  } catch (error) {
    return String((error as { code?: unknown }).code)
  }
}

async function findTool(name: string, args: string[]): Promise<string | undefined> {
  for (const folder of ['/usr/bin', '/bin', '/usr/local/bin', '/run/current-system/sw/bin']) {
    const path = join(folder, name)
    const works = await run(path, args, { env: {}, timeout: TOOL_TIMEOUT_MS }).then(
      () => true,
      () => false,
    )
    if (works) return path
  }
  return undefined
}

/** Shared libraries as the loader resolves them, itself included. */
async function librariesOf(binaries: string[]): Promise<string[]> {
  const outputs = await Promise.all(
    binaries.map((binary) =>
      run('ldd', [binary], { timeout: TOOL_TIMEOUT_MS }).then(
        ({ stdout }) => stdout,
        () => '',
      ),
    ),
  )
  const paths = outputs.join('\n').matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)
  return [...new Set([...paths].map(([, path = '']) => path))]
}
