/** A program of its own: writes the memory of a Python that has started and holds what most scripts import. */

import { exitProcess, onceStarted, writeStdout } from '../../js/harness/host.ts'
import { seededRandom } from '../../js/harness/random.ts'
import { pyodideFiles } from './material.ts'
import { loadPython } from './python.ts'
// @ts-expect-error: a text, by esbuild.
import driver from './unit.py'
import { makeWorld } from './world.ts'

/** Of the standard library, most used first. What is not among them is read from its archive when it is imported. */
const MODULES = `math cmath json random statistics itertools functools operator collections collections.abc re datetime
  decimal fractions heapq bisect array struct string textwrap copy dataclasses enum typing csv io os sys time calendar
  hashlib hmac secrets base64 uuid contextlib traceback zlib pathlib tempfile numbers abc types pprint argparse warnings
  inspect ast asyncio logging graphlib zipfile ctypes`.split(/\s+/)

const INSTALL = `
import sys, types
module = sys.modules['_talkoot'] = types.ModuleType('_talkoot')
module.__file__ = '_talkoot.py'
exec(compile(DRIVER, '_talkoot.py', 'exec'), module.__dict__)
import gc
del DRIVER, module, types, sys
gc.collect()
`

onceStarted(async () => {
  const world = makeWorld()
  world.surroundings.random = seededRandom(0, 0)
  const { pyodide } = await loadPython(pyodideFiles, world)
  pyodide.runPython(`import ${MODULES.join()}`)
  pyodide.runPython(`DRIVER = ${JSON.stringify(driver)}\n${INSTALL}`)
  const snapshot = pyodide.makeMemorySnapshot()
  for (let written = 0; written < snapshot.length; ) written += writeStdout(snapshot.subarray(written))
  exitProcess(0)
})
