/**
 * The program inside the sandbox process of a Python job. It speaks as the one for JavaScript does; what differs is
 * what a task is.
 */

import type { InitFrame } from '../../js/frames.ts'
import { readFrame, writeFrame } from '../../js/harness/channel.ts'
import { givenFiles } from '../../js/harness/given.ts'
import {
  afterTurn,
  collectGarbage,
  denoVersion,
  drainPromiseJobs,
  ignoreUnhandled,
  onceStarted,
} from '../../js/harness/host.ts'
import { installMath } from '../../js/harness/math.ts'
import { installRandom } from '../../js/harness/random.ts'
import { sealRealm } from '../../js/harness/realm.ts'
import { Server } from '../../js/harness/serve.ts'
import { pyodideFiles } from './material.ts'
import { loadPython, type Python } from './python.ts'
// @ts-expect-error: this name is that of the sandbox.
import snapshot from './snapshot.bin' with { type: 'bytes' }
import { Script } from './task.ts'
import { makeWorld, noSurroundings, type World } from './world.ts'

onceStarted(async () => {
  const world = makeWorld()
  const python = await load(world)
  // Promise jobs are run one by one from now on, which cannot be begun within one.
  afterTurn(() => serve(world, python))
})

/** The same whichever unit comes next. What was loaded before is let go of. */
function load(world: World): Promise<Python> {
  Object.assign(world.surroundings, noSurroundings())
  collectGarbage()
  return loadPython(pyodideFiles, world, snapshot)
}

function serve(world: World, first: Python): void {
  const init = readFrame() as InitFrame<'python'>
  ignoreUnhandled()
  installMath()
  installRandom()
  sealRealm()
  const { files: given } = givenFiles(init.given)
  const prepare = (python: Python): Script => new Script(init.source, given, python, world)
  // Before the greeting: it is no unit's time.
  let script: Script | undefined = prepare(first)
  writeFrame(`{"token":"${init.token}","deno":"${denoVersion}"}`)
  const spoilt = (): void => {
    script = undefined
  }
  new Server(init, () => {
    script ??= prepare(atOnce(load(world)))
    return script.task(spoilt)
  }).serve()
}

/** What only promise jobs stand before. */
function atOnce<T>(promise: Promise<T>): T {
  const told: T[] = []
  void promise.then((value) => told.push(value))
  drainPromiseJobs()
  const [value] = told
  if (value === undefined) throw new Error('Python does not load again')
  return value
}
