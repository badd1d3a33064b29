/** The command line against fake services: real HTTP, no mesh. */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { ApiServer } from '../../node/api/server.ts'
import type { Io, Sink } from '../../node/cli/io.ts'
import { runCli } from '../../node/cli/program.ts'
import { FakeServices } from '../api/fake-services.ts'

export type Ran = { code: number; stdout: string; stderr: string }

export class CliHarness {
  readonly folder = mkdtempSync(join(tmpdir(), 'talkoot-cli-'))
  readonly services = new FakeServices()
  readonly #server: ApiServer

  constructor() {
    mkdirSync(join(this.folder, 'home'), { mode: 0o700 })
    const addressFile = join(this.folder, 'home', 'api.json')
    this.#server = new ApiServer({ services: this.services, log: pino({ level: 'silent' }) }, { port: 0, addressFile })
  }

  async start(): Promise<void> {
    await this.#server.start()
  }

  async stop(): Promise<void> {
    await this.#server.stop()
  }

  async dispose(): Promise<void> {
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async run(argv: string[], io: Partial<Io> = {}): Promise<Ran> {
    const stdout = capture()
    const stderr = capture()
    const code = await runCli(argv, {
      stdout: stdout.sink,
      stderr: stderr.sink,
      env: { TALKOOT_HOME: join(this.folder, 'home') },
      cwd: this.folder,
      interrupted: new AbortController().signal,
      ask: null,
      ...io,
    })
    return { code, stdout: stdout.text(), stderr: stderr.text() }
  }
}

/** A sink that keeps what it is given. */
export function capture(facts: Partial<Sink> = {}): { sink: Sink; text(): string } {
  let kept = ''
  const sink: Sink = {
    write: async (text) => {
      kept += text
    },
    isTerminal: false,
    columns: 100,
    colours: 1,
    ...facts,
  }
  return { sink, text: () => kept }
}
