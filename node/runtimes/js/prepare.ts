/** Finds the strongest sandbox that works on this machine, by running a unit in it. */

import { rm } from 'node:fs/promises'
import { TalkootError } from '../../../protocol/errors.ts'
import type { Prepared } from '../prepared-runtime.ts'
import type { Confinement, RuntimeProbe, SandboxInit } from '../runtime.ts'
import { discover } from './discover.ts'
import { type LaunchFacts, planLaunch } from './launch.ts'
import { Session } from './session.ts'

/** Its folder holds the harness. */
export type PreparedJs = Prepared & { facts: LaunchFacts }

/** The version this release was tested with: another could compute other bits. */
const DENO_VERSION = '2.9.6'

const UNIT: SandboxInit = {
  source: 'module.exports = () => [0.1 + 0.2, Math.pow(1.1, 10), typeof Deno]',
  seed: 1,
  cpus: 1,
  memoryMiB: 64,
  timeoutMs: 10_000,
}
const VALUE = '[0.30000000000000004,2.5937424601000023,"undefined"]'

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
  if (facts.bwrap === undefined)
    return { facts, folder, probe: await probe(facts, 'runtime', warnings, folder, signal) }
  try {
    return { facts, folder, probe: await probe(facts, 'os', warnings, folder, signal) }
  } catch (error) {
    signal.throwIfAborted()
    const warning = `bubblewrap does not work here: ${TalkootError.from(error).message}`
    return await strongest({ ...facts, bwrap: undefined }, [...warnings, warning], folder, signal)
  }
}

async function probe(
  facts: LaunchFacts,
  confinement: Confinement,
  warnings: string[],
  folder: string,
  signal: AbortSignal,
): Promise<RuntimeProbe> {
  const session = new Session({ ...UNIT, plan: planLaunch(facts, UNIT.memoryMiB), folder })
  try {
    await session.start(signal)
    const uid = session.uid()
    if (uid === 0) throw new TalkootError('E_ROOT', 'the probe ran as root')
    if (session.denoVersion !== DENO_VERSION) {
      throw new TalkootError('E_RUNTIME_VERSION', `deno is ${session.denoVersion}, not ${DENO_VERSION}`)
    }
    const { value } = await session.exchange([{ unit: 0, params: 'null' }], signal).next()
    const [code, text] = Array.isArray(value) ? (value[0] ?? []) : [value?.code, value?.message]
    if (code !== null || text !== VALUE) throw new TalkootError('E_RUNTIME_VERSION', `the probe gave ${code} ${text}`)
    const warning = warnings.join('; ')
    const proved = { kind: 'js', version: DENO_VERSION, confinement, deterministic: true, uid } as const
    return { ...proved, ...(warning === '' ? {} : { warning }) }
  } finally {
    await session.close()
  }
}
