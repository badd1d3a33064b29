/** Finds the strongest sandbox that works on this machine, by running a unit in it. */

import { rm } from 'node:fs/promises'
import { TalkootError } from '../../../protocol/errors.ts'
import type { Prepared } from '../prepared-runtime.ts'
import { ReachableFolders } from '../reachable-folders.ts'
import type { Confinement, RuntimeProbe } from '../runtime.ts'
import { discover } from './discover.ts'
import type { SandboxedKind } from './frames.ts'
import { type LaunchFacts, planLaunch } from './launch.ts'
import { Session } from './session.ts'

/** Its folder holds the harness. `inputs`: of the jobs, where the user units run as finds them. */
export type PreparedJs = Prepared & { facts: LaunchFacts; inputs: ReachableFolders }

/** The version this release was tested with: another could compute other bits. */
const DENO_VERSION = '2.9.6'

/** A unit that proves a kind of tasks, and what it must give. */
export type Proof = { kind: SandboxedKind; source: string; value: string }

const PROOF: Proof = {
  kind: 'js',
  source: 'module.exports = () => [0.1 + 0.2, Math.pow(1.1, 10), typeof Deno]',
  value: '[0.30000000000000004,2.5937424601000023,"undefined"]',
}
const LIMITS_OF_PROOF = { seed: 1, memoryMiB: 64, timeoutMs: 10_000 }

/** @throws E_RUNTIME_MISSING, E_RUNTIME_VERSION, E_ROOT */
export async function prepare(
  init: { scratchDir: string; confinement?: Confinement; denoPath?: string },
  signal: AbortSignal,
): Promise<PreparedJs> {
  const { facts, warnings, folder } = await discover(init.scratchDir, init.confinement ?? 'os', init.denoPath)
  try {
    return await strongest(facts, warnings, folder, signal)
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

async function strongest(
  facts: LaunchFacts,
  warnings: string[],
  folder: string,
  signal: AbortSignal,
): Promise<PreparedJs> {
  const warning = warnings.length === 0 ? {} : { warning: warnings.join('; ') }
  try {
    const probe = { ...(await prove(PROOF, { facts, folder }, signal)), ...warning }
    return { facts, folder, probe, inputs: new ReachableFolders({ place: folder, user: facts.user }) }
  } catch (error) {
    signal.throwIfAborted()
    if (facts.bwrap === undefined) throw error
    const weaker = `bubblewrap does not work here: ${TalkootError.from(error).message}`
    return await strongest({ ...facts, bwrap: undefined }, [...warnings, weaker], folder, signal)
  }
}

/** @throws E_RUNTIME_MISSING, E_RUNTIME_VERSION, E_ROOT when units of the kind do not run so, or as root */
export async function prove(
  { kind, source, value }: Proof,
  { facts, folder }: Pick<PreparedJs, 'facts' | 'folder'>,
  signal: AbortSignal,
): Promise<RuntimeProbe> {
  const plan = planLaunch(facts, LIMITS_OF_PROOF.memoryMiB, kind)
  const session = new Session({ ...LIMITS_OF_PROOF, kind, source, plan, folder })
  try {
    await session.start(signal)
    const uid = session.uid()
    if (uid === 0) throw new TalkootError('E_ROOT', 'the probe ran as root')
    if (session.denoVersion !== DENO_VERSION) {
      throw new TalkootError('E_RUNTIME_VERSION', `deno is ${session.denoVersion}, not ${DENO_VERSION}`)
    }
    const { value: ends } = await session.exchange([{ unit: 0, params: '{}' }], signal).next()
    const [code, text] = Array.isArray(ends)
      ? (ends[0] ?? [])
      : ends !== undefined && 'code' in ends
        ? [ends.code, ends.message]
        : []
    if (code !== null || text !== value) throw new TalkootError('E_RUNTIME_VERSION', `the probe gave ${code} ${text}`)
    const confinement = facts.bwrap === undefined ? 'runtime' : 'os'
    return { kind, version: DENO_VERSION, confinement, deterministic: true, uid }
  } finally {
    await session.close()
  }
}
