/** Sandboxes to attack: whole ones, and ones from which a test takes exactly one measure away. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { HarnessKind } from '../../node/runtimes/js/frames.ts'
import { type LaunchPlan, planLaunch } from '../../node/runtimes/js/launch.ts'
import { type PreparedJs, prepare } from '../../node/runtimes/js/prepare.ts'
import { spawnPlan } from '../../node/runtimes/js/process.ts'
import { JsSandbox } from '../../node/runtimes/js/sandbox.ts'
import { Session } from '../../node/runtimes/js/session.ts'
import type { Confinement, Sandbox, SandboxInit } from '../../node/runtimes/runtime.ts'
import type { Attempt } from '../../protocol/work.ts'

const DEADLINE_MS = 120_000
const HARNESS = fileURLToPath(new URL('../../node/runtimes/js/harness/', import.meta.url))

export type Alter = (plan: LaunchPlan) => LaunchPlan
export type AttackInit = Partial<SandboxInit> & {
  /** Takes a measure away. */
  alter?: Alter
  /** A file in the place of the harness. */
  harness?: string
  /** @default 'js' */
  kind?: HarnessKind
  /** The folder of the files the job brings. */
  inputs?: string
}

export class Laboratory {
  readonly prepared: PreparedJs
  readonly #scratchDir: string
  #files = 0

  private constructor(prepared: PreparedJs, scratchDir: string) {
    this.prepared = prepared
    this.#scratchDir = scratchDir
  }

  static async open(confinement: Confinement): Promise<Laboratory> {
    const scratchDir = await mkdtemp(join(tmpdir(), 'talkoot-test-'))
    try {
      return new Laboratory(await prepare({ scratchDir, confinement }, AbortSignal.timeout(DEADLINE_MS)), scratchDir)
    } catch (error) {
      await rm(scratchDir, { recursive: true, force: true })
      throw error
    }
  }

  async close(): Promise<void> {
    await rm(this.prepared.folder, { recursive: true, force: true })
    await rm(this.#scratchDir, { recursive: true, force: true })
  }

  /** True with bubblewrap; otherwise says what is not run and why. */
  hasBubblewrap(what: string): boolean {
    const { confinement, warning } = this.prepared.probe
    if (confinement === 'os') return true
    console.warn(`not run: ${what}: ${warning}`)
    return false
  }

  plan({ memoryMiB = 64, harness, alter, inputs }: AttackInit = {}): LaunchPlan {
    const { facts } = this.prepared
    const plan = planLaunch(
      harness === undefined ? facts : { ...facts, harness },
      memoryMiB,
      'js',
      inputs === undefined ? null : { folder: inputs },
    )
    return alter === undefined ? plan : alter(plan)
  }

  sandbox(source: string, init: AttackInit = {}): Sandbox {
    const job: SandboxInit & Pick<AttackInit, 'kind'> = {
      source,
      seed: 7,
      cpus: 1,
      memoryMiB: 64,
      timeoutMs: 20_000,
      ...init,
    }
    const openSession = async () =>
      new Session({ kind: 'js', ...job, plan: this.plan(init), folder: this.prepared.folder })
    return new JsSandbox({ openSession, onClosed: () => undefined }, job)
  }

  /** A task attacks: `units` of it run in one process. */
  async attack(source: string, init: AttackInit = {}, units: unknown[] = [null]): Promise<Attempt[]> {
    const sandbox = this.sandbox(source, init)
    const inputs = units.map((params, unit) => ({ unit, params: JSON.stringify(params) }))
    const attempts: Attempt[] = []
    try {
      for await (const group of sandbox.run(inputs, AbortSignal.timeout(DEADLINE_MS))) attempts.push(...group)
    } finally {
      await sandbox.close()
    }
    return attempts
  }

  /** An attacker who has taken over the process: his script stands in the place of the harness. Returns its stdout. */
  async intrude(script: string, alter: Alter = (plan) => plan, init: Pick<AttackInit, 'inputs'> = {}): Promise<string> {
    const harness = await this.file(script)
    const plan = this.plan({ harness, alter, ...init })
    const child = spawnPlan(plan, ['ignore', 'pipe', 'ignore'])
    const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS)
    let said = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk
    })
    await new Promise((resolve) => child.once('close', resolve))
    clearTimeout(timer)
    return said.trim()
  }

  /** A file that any user can read. */
  async file(text: string): Promise<string> {
    const path = join(this.prepared.folder, `file-${this.#files++}.js`)
    await writeFile(path, text, { mode: 0o644 })
    return path
  }

  /** A program that any user can run. */
  async program(bytes: Uint8Array): Promise<string> {
    const path = join(this.prepared.folder, `program-${this.#files++}`)
    await writeFile(path, bytes, { mode: 0o755 })
    return path
  }

  /** The harness with one of its modules replaced. */
  async harnessWith(module: string, replacement: string): Promise<string> {
    const plugin = {
      name: 'replace',
      setup(builder: import('esbuild').PluginBuild) {
        builder.onLoad({ filter: new RegExp(`/harness/${module}\\.ts$`) }, () => ({
          contents: replacement,
          resolveDir: HARNESS,
          loader: 'ts' as const,
        }))
      },
    }
    const result = await build({
      entryPoints: [join(HARNESS, 'main.ts')],
      bundle: true,
      format: 'esm',
      platform: 'neutral',
      mainFields: ['module', 'main'],
      write: false,
      logLevel: 'silent',
      plugins: [plugin],
    })
    return await this.file(result.outputFiles[0]?.text ?? '')
  }
}

/** What an attempt came to: the value, or the code. */
export const endOf = (attempt: Attempt | undefined): unknown =>
  attempt === undefined ? undefined : attempt.ok ? JSON.parse(attempt.value) : attempt.code

/** Takes arguments out of bubblewrap's: each with the number of words that follow it. */
export const without =
  (...taken: [flag: string, words: number][]): Alter =>
  (plan) => {
    const bwrap = [...plan.bwrap]
    for (const [flag, words] of taken) {
      const at = bwrap.lastIndexOf(flag)
      if (at < 0) throw new Error(`no ${flag} in the plan`)
      bwrap.splice(at, words + 1)
    }
    return { ...plan, bwrap }
  }

/** Adds arguments to bubblewrap's, before the root becomes read-only. */
export const withMore =
  (...more: string[]): Alter =>
  (plan) => ({ ...plan, bwrap: plan.bwrap.toSpliced(plan.bwrap.indexOf('--remount-ro'), 0, ...more) })

/** Gives Deno all permissions: only what is around it still holds. */
export const allowAll: Alter = (plan) => {
  const [deno = '', run = ''] = plan.deno
  return { ...plan, deno: [deno, run, '--allow-all', '--no-config', '--no-lock', '--no-check', plan.deno.at(-1) ?? ''] }
}

export const both =
  (...alters: Alter[]): Alter =>
  (plan) =>
    alters.reduce((altered, alter) => alter(altered), plan)
