/** What this machine has for a sandbox, found by running it: paths are never believed. */

import { execFile } from 'node:child_process'
import { chmod, copyFile, link, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { TalkootError } from '../../../protocol/errors.ts'
import { inheritedDescriptors } from '../inherited.ts'
import type { Confinement } from '../runtime.ts'
import { makeScratch, unitUser } from '../scratch.ts'
import { seccompFilter } from '../seccomp.ts'
import { findTool } from '../tools.ts'
import { writeHarness } from './bundle.ts'
import type { LaunchFacts } from './launch.ts'

const run = promisify(execFile)
const TOOL_TIMEOUT_MS = 10_000

export type Discovery = { facts: LaunchFacts; warnings: string[] /** Removed on stop. */; folder: string }

/** @throws E_RUNTIME_MISSING, E_ROOT */
export async function discover(scratchDir: string, confinement: Confinement, denoPath?: string): Promise<Discovery> {
  const user = unitUser()
  const folder = await makeScratch(scratchDir, user)
  try {
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
  const filter = seccompFilter(process.arch, 'none')
  if (filter === undefined) return undefined
  const path = join(folder, 'seccomp.bpf')
  await writeFile(path, filter)
  return path
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
