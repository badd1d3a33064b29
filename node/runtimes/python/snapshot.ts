/** The memory of a Python that has started: made once for each release, kept in the node's state folder, the same bytes everywhere. */

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { LaunchPlan } from '../js/launch.ts'
import { spawnPlan } from '../js/process.ts'

/** Of Pyodide 314.0.7 with the modules and the driver of this release. Another would compute from another state. */
export const SNAPSHOT_SHA256 = '2e453080e02c75d9b4fe74fa8f8b09e27626e90b9519a615c28048052cf5eae1'

const LAST_WORDS_MAX_CHARS = 2_000

/** The path of the snapshot in the folder, where it is made unless it is there. @throws E_RUNTIME_MISSING, E_RUNTIME_VERSION */
export async function snapshotIn(folder: string, plan: LaunchPlan, signal: AbortSignal): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, `${SNAPSHOT_SHA256}.bin`)
  if ((await digestOf(path)) === SNAPSHOT_SHA256) return path
  for (const name of await readdir(folder)) await rm(join(folder, name), { force: true })
  const unfinished = `${path}.${process.pid}`
  try {
    await make(unfinished, plan, signal)
    const digest = await digestOf(unfinished)
    if (digest !== SNAPSHOT_SHA256) {
      throw new TalkootError(
        'E_RUNTIME_VERSION',
        `Python starts otherwise here than elsewhere: its memory is ${digest}`,
      )
    }
    await rename(unfinished, path)
    return path
  } finally {
    await rm(unfinished, { force: true })
  }
}

/** Hex; undefined: there is no such file. */
async function digestOf(path: string): Promise<string | undefined> {
  const hash = createHash('sha256')
  try {
    await pipeline(createReadStream(path), hash)
  } catch {
    return undefined
  }
  return hash.digest('hex')
}

/** In a process of its own: what it takes is given back when it ends. */
async function make(path: string, plan: LaunchPlan, signal: AbortSignal): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(LIMITS.PYTHON_SNAPSHOT_TIMEOUT_MS)])
  try {
    const child = spawnPlan(plan, ['ignore', file.fd, 'pipe'])
    let said = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-LAST_WORDS_MAX_CHARS)
    })
    const kill = (): void => void child.kill('SIGKILL')
    deadline.addEventListener('abort', kill)
    if (deadline.aborted) kill()
    const [code] = await once(child, 'close').finally(() => deadline.removeEventListener('abort', kill))
    signal.throwIfAborted()
    if (code !== 0) throw new TalkootError('E_RUNTIME_MISSING', `Python does not start: exit ${code} ${said}`)
  } finally {
    await file.close()
  }
}
