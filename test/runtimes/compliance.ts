/**
 * What every runtime does, whatever it runs. A runtime brings a task for each case; where it cannot run, the reason is
 * printed and the others are tested.
 */

import { describe, expect } from 'vitest'
import type { Runtime, RuntimeProbe, Sandbox, SandboxInit, UnitReport } from '../../node/runtimes/runtime.ts'
import { type ErrorCode, TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Attempt } from '../../protocol/work.ts'
import { until } from '../mesh/nodes.ts'
import { attemptsOf, codeOf, collect, DEADLINE_MS, inputs, numbered, ok } from './attempts.ts'
import { descendantsOf, isAlive, sandboxFolders } from './remains.ts'
import { subjectOf } from './subject.ts'

/** Sources for parameters `{ x }`. Where x is not 1, each but the last two gives what `value` gives. */
export type ComplianceTasks = {
  value: string
  /** Fails of itself. */
  fails: string
  /** Never ends. */
  loops: string
  /** Takes memory without end. */
  eats: string
  /** Gives far more than a result may be. */
  prints: string
  /** Logs `step x` and a line end. */
  logs: string
  /** Gives random numbers, from wherever a task of this kind gets them. */
  chance: string
  /** Saves x; where x is 1 and nothing was saved before, never ends. */
  saves: string
  /** Is no task of this kind. */
  refused: string
}

/** Shell lines that do so, with x as `$1`. */
export const SAVES = `if read x <"$TALKOOT_CHECKPOINT"; then echo $((x + 1)); exit; fi 2>/dev/null
  echo "$1" >"$TALKOOT_CHECKPOINT.new"; mv "$TALKOOT_CHECKPOINT.new" "$TALKOOT_CHECKPOINT"
  if [ "$1" = 1 ]; then while :; do :; done; fi; echo $(($1 + 1))`

export type ComplianceSubject = {
  make(scratchDir: string): Runtime
  /** What the probe must tell. */
  tells: Pick<RuntimeProbe, 'kind' | 'confinement' | 'deterministic'>
  tasks: ComplianceTasks
  /** What its tasks bring. */
  trees?: SandboxInit['trees']
  /** What a unit that does nothing surely takes less than, milliseconds. */
  soonMs?: number
  /** What `value` gives, as canonical JSON. */
  gives(x: number): string
  /** How a task fails of itself, and what it is told with. */
  failure: { code: ErrorCode; says: string }
}

export function describeRuntime(
  name: string,
  { make, tells, tasks, trees = new Map(), soonMs = 1_000, gives, failure }: ComplianceSubject,
): void {
  describe(name, () => {
    const reports: UnitReport[] = []
    const subject = subjectOf(name, make, ({ runtime }) => proveAs(tells, runtime))
    const { runs } = subject
    const open = (source: string, init: Partial<SandboxInit> = {}): Sandbox => {
      const onReport = (report: UnitReport): void => void reports.push(report)
      return subject.runtime.open({
        source,
        trees,
        seed: 7,
        cpus: 1,
        memoryMiB: 64,
        timeoutMs: 60_000,
        onReport,
        ...init,
      })
    }
    const runAll = async (source: string, count = 3, init: Partial<SandboxInit> = {}): Promise<Attempt[]> => {
      const sandbox = open(source, init)
      const attempts = await collect(sandbox, numbered(count))
      await sandbox.close()
      return attempts.toSorted((a, b) => a.unit - b.unit)
    }
    const value = (x: number): Attempt => ok(x, gives(x))

    runs('probe - tells what it proved', async () => {
      const probe = await subject.runtime.probe(AbortSignal.timeout(DEADLINE_MS))
      expect(probe).toMatchObject(tells)
      expect(probe.version).toMatch(/^\d+(\.\d+)*$/)
      expect(probe.uid).toBeGreaterThan(0)
    })

    runs('probe - an aborted one does not wait for what was begun, nor spoil it', async () => {
      const own = make(subject.folder)
      const abort = new AbortController()
      const probing = own.probe(abort.signal)
      abort.abort(new Error('enough'))
      await expect(probing).rejects.toThrow('enough')
      await expect(own.probe(abort.signal)).rejects.toThrow('enough')
      expect(await own.probe(AbortSignal.timeout(DEADLINE_MS))).toMatchObject(tells)
      await own.stop()
    })

    runs('warm - what is started before its units runs them as any other', async () => {
      const sandbox = open(tasks.value)
      await sandbox.warm(AbortSignal.timeout(DEADLINE_MS))
      await sandbox.warm(AbortSignal.timeout(DEADLINE_MS))
      expect(await collect(sandbox, numbered(2))).toEqual([value(0), value(1)])
      await sandbox.close()
    })

    runs('warm - ends when it is aborted or closed meanwhile', async () => {
      const sandbox = open(tasks.value)
      await expect(sandbox.warm(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
      const warming = sandbox.warm(AbortSignal.timeout(DEADLINE_MS)).catch(() => 'closed')
      await sandbox.close()
      expect(await warming).toBe('closed')
    })

    runs('run - one attempt for each unit, in order', async () => {
      const sandbox = open(tasks.value)
      expect(await collect(sandbox, numbered(5))).toEqual([0, 1, 2, 3, 4].map(value))
      expect(await collect(sandbox, [{ x: 7 }])).toEqual([ok(0, gives(7))])
      await sandbox.close()
    })

    runs('run - a failure is told, and spares its neighbours', async () => {
      const attempts = await runAll(tasks.fails)
      expect(attempts).toEqual([value(0), expect.objectContaining({ blame: 'program', code: failure.code }), value(2)])
      expect(attempts[1]).toMatchObject({ ok: false, message: expect.stringContaining(failure.says) })
    })

    runs('run - what never ends is ended, and spares its neighbours', async () => {
      const late = { unit: 1, ok: false, code: 'E_TIMEOUT', blame: 'time', message: expect.any(String) }
      expect(await runAll(tasks.loops, 3, { timeoutMs: soonMs })).toEqual([value(0), late, value(2)])
    })

    runs('checkpoint - stopped in the middle, a unit goes on from what it saved, to the same value', async () => {
      const states: Uint8Array[] = []
      const abort = new AbortController()
      const onCheckpoint: SandboxInit['onCheckpoint'] = (unit, state) => {
        if (unit !== 1) return
        states.push(new Uint8Array(state))
        abort.abort()
      }
      const sandbox = open(tasks.saves, { onCheckpoint })
      const stopped = sandbox.run(
        inputs(numbered(3)),
        AbortSignal.any([abort.signal, AbortSignal.timeout(DEADLINE_MS)]),
      )
      expect(await attemptsOf(stopped)).toEqual([value(0)])
      const [resumed = new Uint8Array()] = states
      expect(resumed.length).toBeGreaterThan(0)
      const again = inputs(numbered(3)).map((input) => (input.unit === 1 ? { ...input, resumed } : input))
      expect(await attemptsOf(sandbox.run(again, AbortSignal.timeout(DEADLINE_MS)))).toEqual([0, 1, 2].map(value))
      await sandbox.close()
    })

    runs('checkpoint - what was never saved by such a task does no harm', async () => {
      const sandbox = open(tasks.saves)
      const resumed = Uint8Array.from({ length: LIMITS.UNIT_CHECKPOINT_MAX_BYTES }, (_, i) => i % 256)
      const [attempt] = await attemptsOf(
        sandbox.run(
          [{ unit: 0, params: '{"x":0}', resumed }, ...inputs(numbered(1))],
          AbortSignal.timeout(DEADLINE_MS),
        ),
      )
      expect(attempt?.unit).toBe(0)
      expect(await collect(sandbox, numbered(1))).toEqual([value(0)])
      await sandbox.close()
    })

    runs('run - memory is bounded, and neighbours are spared', async () => {
      const full = { unit: 1, ok: false, code: 'E_MEMORY', blame: 'memory', message: expect.any(String) }
      expect(await runAll(tasks.eats)).toEqual([value(0), full, value(2)])
    })

    runs('run - a result is bounded, and neighbours are spared', async () => {
      const long = { unit: 1, ok: false, code: 'E_RESULT_TOO_BIG', blame: 'program', message: expect.any(String) }
      expect(await runAll(tasks.prints)).toEqual([value(0), long, value(2)])
    })

    runs('run - a source that is no task fails every unit', async () => {
      expect((await runAll(tasks.refused, 2)).map(codeOf)).toEqual(['E_SOURCE', 'E_SOURCE'])
    })

    runs('run - what a unit logs is reported once, as its own', async () => {
      reports.length = 0
      expect(await runAll(tasks.logs, 2)).toEqual([value(0), value(1)])
      expect(reports.filter(({ stderr }) => stderr !== '')).toMatchObject([{ unit: 1, stderr: 'step 1\n' }])
    })

    runs('run - what a unit draws at random repeats if the runtime says so', async () => {
      const [first, again] = [await runAll(tasks.chance, 2), await runAll(tasks.chance, 2)]
      expect(first.map(codeOf)).toEqual(['ok', 'ok'])
      expect(JSON.stringify(again) === JSON.stringify(first)).toBe(tells.deterministic)
    })

    runs('run - aborting kills it, gives no attempt for the rest, and spoils nothing', async () => {
      const sandbox = open(tasks.loops, { timeoutMs: 60_000 })
      expect(await collect(sandbox, [{ x: 0 }])).toEqual([value(0)])
      const before = await descendantsOf(process.pid)
      const abort = new AbortController()
      const rest = attemptsOf(sandbox.run(inputs([{ x: 1 }, { x: 2 }]), abort.signal))
      await until(async () => (await descendantsOf(process.pid)).length > 0)
      const during = await descendantsOf(process.pid)
      abort.abort()
      expect(await rest).toEqual([])
      for (const pid of [...before, ...during]) await until(async () => !(await isAlive(pid)))
      expect(await collect(sandbox, [{ x: 5 }])).toEqual([ok(0, gives(5))])
      await sandbox.close()
    })

    runs('run - leaving the iteration midway spoils nothing', async () => {
      const sandbox = open(tasks.value)
      for await (const [first] of sandbox.run(inputs(numbered(20)), AbortSignal.timeout(DEADLINE_MS))) {
        expect(first).toEqual(value(0))
        break
      }
      expect(await collect(sandbox, [{ x: 9 }])).toEqual([ok(0, gives(9))])
      await sandbox.close()
    })

    runs('agree - a task that has no opinion is refused', async () => {
      const sandbox = open(tasks.value)
      const asking = sandbox.agree('1', '1', AbortSignal.timeout(DEADLINE_MS))
      await expect(asking).rejects.toMatchObject({ code: 'E_TASK_INVALID' })
      await sandbox.close()
    })

    runs('close - during a run ends it', async () => {
      const sandbox = open(tasks.loops, { timeoutMs: 60_000 })
      const attempts = collect(sandbox, [{ x: 1 }, { x: 1 }])
      await sandbox.close()
      await sandbox.close()
      expect(await attempts).toEqual([])
    })

    runs('stop - during a run leaves no process and no file, and nothing begins after it', async () => {
      const before = {
        folders: await sandboxFolders(subject.folder, process.pid),
        pids: await descendantsOf(process.pid),
      }
      const own = make(subject.folder)
      await own.probe(AbortSignal.timeout(DEADLINE_MS))
      const sandbox = own.open({ source: tasks.loops, trees, seed: 1, cpus: 1, memoryMiB: 64, timeoutMs: 60_000 })
      const attempts = collect(sandbox, [{ x: 1 }])
      const started = async () => (await descendantsOf(process.pid)).filter((pid) => !before.pids.includes(pid))
      await until(async () => (await started()).length > 0)
      const children = await started()
      await own.stop()
      await own.stop()
      expect(await attempts).toEqual([])
      for (const pid of children) await until(async () => !(await isAlive(pid)))
      expect(await sandboxFolders(subject.folder, process.pid)).toEqual(before.folders)
      await expect(own.probe(AbortSignal.timeout(1_000))).rejects.toMatchObject({ code: 'E_RUNTIME_MISSING' })
    })
  })
}

/** @throws why it cannot run here as it is to be tested */
async function proveAs({ confinement }: ComplianceSubject['tells'], runtime: Runtime): Promise<void> {
  const probe = await runtime.probe(AbortSignal.timeout(DEADLINE_MS))
  if (probe.confinement === confinement) return
  throw new TalkootError('E_RUNTIME_MISSING', probe.warning ?? `its confinement is ${probe.confinement}`)
}
