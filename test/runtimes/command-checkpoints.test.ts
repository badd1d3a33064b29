/** The file in which a program saves its state: read while it runs and before it is stopped, and nothing else in its place. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCommandRuntime } from '../../node/runtimes/command/runtime.ts'
import type { Runtime, SandboxInit } from '../../node/runtimes/runtime.ts'
import { encodeProgram } from '../../protocol/command/program.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { attemptsOf, DEADLINE_MS, inputs } from './attempts.ts'

let scratchDir: string
let runtime: Runtime
let obstacle: string | null = null
beforeAll(async () => {
  scratchDir = await mkdtemp(join(tmpdir(), 'talkoot-saves-'))
  runtime = createCommandRuntime({ scratchDir })
  obstacle = await runtime.probe(AbortSignal.timeout(DEADLINE_MS)).then(
    () => null,
    (error) => String(error),
  )
  if (obstacle !== null) console.warn(`not run: programs that save their state: ${obstacle}`)
})
afterAll(async () => {
  await runtime.stop()
  await rm(scratchDir, { recursive: true, force: true })
})

const runs = (of: string, body: () => Promise<void>): void =>
  test(of, async () => {
    if (obstacle === null) await body()
  })

const open = (lines: string, init: Partial<SandboxInit>) =>
  runtime.open({
    source: encodeProgram({ v: 1, argv: ['sh', '-c', lines], env: {}, stdin: null, inputs: null }),
    ...{ seed: 7, cpus: 1, memoryMiB: 64, timeoutMs: DEADLINE_MS },
    ...init,
  })

/** What a unit saved by the time it was stopped: when it had said `enough`, or saved `last`. */
async function savedBy(lines: string): Promise<string[]> {
  const saved: string[] = []
  const stop = new AbortController()
  const sandbox = open(`cd /tmp; ${lines}; sleep 60`, {
    onCheckpoint: (_, state) => {
      saved.push(Buffer.from(state).toString())
      if (saved.at(-1) === 'last') stop.abort()
    },
    onOutput: (_, __, bytes) => {
      if (Buffer.from(bytes).includes('enough')) stop.abort()
    },
  })
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(DEADLINE_MS)])
  expect(await attemptsOf(sandbox.run(inputs([null]), signal))).toEqual([])
  expect(stop.signal.aborted).toBe(true)
  await sandbox.close()
  return saved
}

runs('what was saved a moment before the unit is stopped is not lost', async () => {
  expect(await savedBy('printf a >talkoot-checkpoint; echo enough')).toEqual(['a'])
})

runs('each state is told once', async () => {
  const saved = await savedBy('printf a >talkoot-checkpoint; sleep 3; printf last >new; mv new "$TALKOOT_CHECKPOINT"')
  expect(saved).toEqual(['a', 'last'])
})

runs('a link, a pipe, a folder, nothing, or too much in its place is no state', async () => {
  const kinds = [
    'ln -s /etc/passwd talkoot-checkpoint',
    'mkfifo talkoot-checkpoint',
    'mkdir talkoot-checkpoint',
    ': >talkoot-checkpoint',
    `head -c ${LIMITS.UNIT_CHECKPOINT_MAX_BYTES + 1} /dev/zero >talkoot-checkpoint`,
  ]
  const looks = kinds.map((kind) => `${kind}; sleep 1.5; rm -r talkoot-checkpoint`)
  expect(await savedBy(`${looks.join('; ')}; printf last >new; mv new talkoot-checkpoint`)).toEqual(['last'])
})

runs('a unit that goes on finds the file, may replace it, and has nothing else more than one that begins', async () => {
  const lines =
    'cat "$TALKOOT_CHECKPOINT"; rm -f "$TALKOOT_CHECKPOINT"; ls /proc/self/fd | wc -l; ls /tmp /unit | wc -l'
  const sandbox = open(lines, {})
  const resumed = Buffer.from('half\n')
  const signal = AbortSignal.timeout(DEADLINE_MS)
  const units = [
    { unit: 0, params: 'null', resumed },
    { unit: 1, params: 'null' },
  ]
  const [on, anew] = (await attemptsOf(sandbox.run(units, signal))).map((end) => end.ok && JSON.parse(end.value).stdout)
  expect(on).toBe(`half\n${anew}`)
  await sandbox.close()
})

runs('what a unit goes on from is not sent back', async () => {
  const saved: string[] = []
  const sandbox = open('sleep 2.5', { onCheckpoint: (_, state) => void saved.push(String(state)) })
  const units = [{ unit: 0, params: 'null', resumed: Buffer.from('half') }]
  expect(await attemptsOf(sandbox.run(units, AbortSignal.timeout(DEADLINE_MS)))).toMatchObject([{ ok: true }])
  expect(saved).toEqual([])
  await sandbox.close()
})
