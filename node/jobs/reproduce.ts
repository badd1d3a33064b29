/** Runs one unit of a job submitted here once more, in this machine's own sandbox, with the inputs and limits it had. */

import type { ResultRow } from '../../protocol/api.ts'
import { canonicalJson, type Digest } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { decodeManifest } from '../../protocol/manifest.ts'
import type { Reproduction } from '../../protocol/reproduction.ts'
import { RUNTIME_KINDS } from '../../protocol/runtime-kinds.ts'
import { checkUnit, compileUnits } from '../../protocol/sweep/generator.ts'
import type { Attempt } from '../../protocol/work.ts'
import type { Sandbox, UnitInput, UnitReport } from '../runtimes/runtime.ts'
import type { Runtimes } from '../runtimes/runtimes.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { JobStore } from '../store/job-store.ts'
import type { HeldTree, TreeStore } from '../store/tree-store.ts'
import { type FetchTree, type HeldInputs, holdInputs } from '../worker/inputs.ts'
import { openOwnPointFiles } from '../worker/point-files.ts'
import { SYSTEM } from '../worker/reports.ts'
import { UnitFiles } from '../worker/unit-files.ts'
import { toRow } from './result-reader.ts'
import { sandboxInit } from './sandbox-init.ts'

type Components = {
  jobs: JobStore
  blobs: BlobStore
  trees: Pick<TreeStore, 'hold' | 'newFolder' | 'take'>
  runtimes: Pick<Runtimes, 'open'>
  /** Milliseconds, monotonic. */
  now(): number
}

/** What the unit is given, here until it is let go of. */
type Held = { inputs: HeldInputs; input: UnitInput; release(): void }

type Run = (signal: AbortSignal) => AsyncIterable<Reproduction>

/**
 * What runs it and yields the one answer; nothing when it is aborted.
 * @param id of a job, whole
 * @throws E_NOT_FOUND, E_BLOB, before anything is run
 */
export function reproductionOf({ jobs, blobs, trees, runtimes, now }: Components, id: string, unit: number): Run {
  const job = jobs.get(id)
  if (job === null) throw new TalkootError('E_NOT_FOUND', `no job ${id}`)
  const { manifest } = decodeManifest(job.manifest)
  const sweep = compileUnits(manifest, (digest) => blobs.get(digest))
  checkUnit(sweep, unit)
  const params = sweep.point(unit)
  const init = sandboxInit(manifest, blobs)
  return async function* (signal) {
    const began = now()
    const reports: UnitReport[] = []
    const files = new UnitFiles({ trees })
    const open = (inputs: HeldInputs): Sandbox =>
      runtimes.open(manifest.task.runtime, {
        ...init,
        trees: inputs.trees,
        onReport: (report) => reports.push(report),
        keepFiles: (...given) => files.keep(...given),
      })
    const input = { unit, params: canonicalJson(params) }
    const hold = async (): Promise<Held> => {
      const { treesOf, pointInputsOf } = RUNTIME_KINDS[manifest.task.runtime]
      const fetchTree: FetchTree = (_, { digest }) => wholeOf(trees, digest, signal)
      const inputs = await holdInputs(fetchTree, { from: '', trees: treesOf(init.source) }, { signal })
      const named = pointInputsOf(init.source)
      if (named === null) return { inputs, input, release: inputs.release }
      try {
        const points = await openOwnPointFiles(fetchTree, { from: '', inputs: named }, { signal })
        const release = (): void => {
          points.release()
          inputs.release()
        }
        const files = await points.hold(input, signal)
        return { inputs, input: files === null ? input : { ...input, files }, release }
      } catch (error) {
        inputs.release()
        throw error
      }
    }
    const attempt = await attemptAt({ hold, open }, unit, signal)
    // What is the same has the same digest.
    files.clear()
    if (attempt === null) return
    const [stored] = jobs.results.page(job.n, 'unit', unit - 1, 1)
    const decided = stored?.unit === unit ? toRow(stored, sweep) : null
    const { exit = null, stdout = '', stderr = '', process = null } = reports.at(-1) ?? {}
    yield {
      schema: 'talkoot.reproduction/1',
      ...{ job: id, unit, params, attempt, exit, stdout, stderr, durationMs: now() - began, decided },
      ...{ system: SYSTEM, process },
      same: decided && isSame(attempt, decided),
    }
  }
}

/** Null when it was aborted. What this machine cannot do is a failure like any other. */
async function attemptAt(
  { hold, open }: { hold(): Promise<Held>; open(inputs: HeldInputs): Sandbox },
  unit: number,
  signal: AbortSignal,
): Promise<Attempt | null> {
  let held: Held | undefined
  let sandbox: Sandbox | undefined
  try {
    held = await hold()
    sandbox = open(held.inputs)
    for await (const [attempt] of sandbox.run([held.input], signal)) if (attempt !== undefined) return attempt
    return null
  } catch (thrown) {
    const { code, message } = TalkootError.from(thrown)
    return {
      unit,
      ok: false,
      code,
      message: message.slice(0, LIMITS.UNIT_ERROR_MAX_CHARS),
      blame: 'machine',
    }
  } finally {
    await sandbox?.close()
    held?.release()
  }
}

/** Kept as long as a job needs it, and then as long as there is room. */
async function wholeOf(trees: Components['trees'], digest: Digest, signal: AbortSignal): Promise<HeldTree> {
  const held = await trees.hold(digest, signal)
  if (held.whole) return held
  held.release()
  throw new TalkootError('E_NOT_FOUND', `some files with digest ${digest} are not here any more`)
}

const isSame = (attempt: Attempt, decided: ResultRow): boolean =>
  attempt.ok
    ? decided.status === 'accepted' && canonicalJson(decided.value) === attempt.value
    : decided.status === 'failed' && decided.error.code === attempt.code
