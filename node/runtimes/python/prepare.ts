/** Lays down what a Python process imports, and proves by a unit that Python runs here. */

import { chmod, copyFile, link, mkdir, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { TalkootError } from '../../../protocol/errors.ts'
import { encodeScript } from '../../../protocol/python/script.ts'
import { type LaunchFacts, planLaunch } from '../js/launch.ts'
import { type PreparedJs, type Proof, prove } from '../js/prepare.ts'
import { builtPrograms } from './bundle.ts'
import { snapshotIn } from './snapshot.ts'

const PYODIDE_VERSION = '314.0.7'
const PYODIDE_FILES = ['pyodide.mjs', 'pyodide.asm.mjs', 'pyodide.asm.wasm', 'python_stdlib.zip']

const SCRIPT = `import random, sys
def unit():
    return [0.1 + 0.2, 1.1 ** 10, hash("talkoot"), random.random(), sys.version.split()[0]]
`
const PROOF: Proof = {
  kind: 'python',
  source: encodeScript({ v: 1, file: 'proof.py', base64: Buffer.from(SCRIPT).toString('base64') }),
  value: '[0.30000000000000004,2.5937424601000023,-782164399,0.3706027653255566,"3.14.2"]',
}

/** @param keptIn where the snapshot is from one start to the next. @throws E_RUNTIME_MISSING, E_RUNTIME_VERSION, E_ROOT */
export async function preparePython(js: PreparedJs, keptIn: string, signal: AbortSignal): Promise<PreparedJs> {
  const folder = join(js.folder, 'python')
  try {
    await mkdir(folder, { mode: 0o711 })
    const facts = await layDown(js.facts, folder, keptIn, signal)
    const probe = { ...(await prove(PROOF, { facts, folder }, signal)), version: PYODIDE_VERSION }
    return { facts, folder, probe, inputs: js.inputs }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw TalkootError.from(error, 'E_RUNTIME_MISSING')
  }
}

async function layDown(js: LaunchFacts, folder: string, keptIn: string, signal: AbortSignal): Promise<LaunchFacts> {
  const place = async (from: string, name: string): Promise<string> => {
    const path = join(folder, name)
    await link(from, path).catch(() => copyFile(from, path))
    // Units may run as another user.
    if (js.user !== undefined) await chmod(path, 0o644)
    return path
  }
  const write = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name)
    await writeFile(path, text)
    await chmod(path, 0o644)
    return path
  }
  const pyodide = pyodideFolder()
  const beside = await Promise.all(PYODIDE_FILES.map((name) => place(join(pyodide, name), name)))
  const { harness, snapshotMaker } = await builtPrograms()
  const maker = { ...js, harness: await write('make-snapshot.js', snapshotMaker), beside }
  const snapshot = await snapshotIn(keptIn, planLaunch(maker, 0, 'python'), signal)
  return {
    ...js,
    harness: await write('harness.js', harness),
    beside: [...beside, await place(snapshot, 'snapshot.bin')],
  }
}

function pyodideFolder(): string {
  const require = createRequire(import.meta.url)
  try {
    const path = require.resolve('pyodide/package.json')
    const { version } = require(path) as { version: string }
    if (version === PYODIDE_VERSION) return dirname(path)
    throw new TalkootError('E_RUNTIME_VERSION', `pyodide is ${version}, not ${PYODIDE_VERSION}`)
  } catch (cause) {
    throw TalkootError.from(cause, 'E_RUNTIME_MISSING')
  }
}
