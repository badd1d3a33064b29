/** Deno on this machine, found and confined once for all kinds of tasks that run in it. */

import { rm } from 'node:fs/promises'
import type { Confinement } from '../runtime.ts'
import { type PreparedJs, prepare } from './prepare.ts'

export type DenoHostInit = {
  /** A private folder, made if need be. */
  scratchDir: string
  /** `runtime` does without bubblewrap even where it works. @default 'os' */
  confinement?: Confinement
  /** @default the binary of the deno package */
  denoPath?: string
}

export class DenoHost {
  readonly #init: DenoHostInit
  #prepared: Promise<PreparedJs> | undefined
  #users = 0

  constructor(init: DenoHostInit) {
    this.#init = init
  }

  /** For a runtime that leaves again. The signal is that of whoever comes first. @throws as `Runtime.probe` */
  async enter(signal: AbortSignal): Promise<PreparedJs> {
    this.#users += 1
    this.#prepared ??= prepare(this.#init, signal)
    try {
      return await this.#prepared
    } catch (error) {
      this.#users -= 1
      throw error
    }
  }

  /** The last removes what was laid down. */
  async leave(): Promise<void> {
    this.#users -= 1
    if (this.#users > 0) return
    const prepared = await this.#prepared
    this.#prepared = undefined
    if (prepared !== undefined) await rm(prepared.folder, { recursive: true, force: true })
  }
}
