/** The programs of the sandbox process, made when talkoot is built, or when its sources are run as they are. */

import { bundleForSandbox } from '../js/bundle.ts'

/** Each one JavaScript file. */
export type PythonPrograms = { harness: string; snapshotMaker: string }

/** Written in by `bin/build.js`. */
declare const BUILT_PYTHON_PROGRAMS: PythonPrograms | undefined

export const builtPrograms = async (): Promise<PythonPrograms> =>
  typeof BUILT_PYTHON_PROGRAMS === 'undefined' ? await pythonPrograms() : BUILT_PYTHON_PROGRAMS

export async function pythonPrograms(): Promise<PythonPrograms> {
  const bundle = (name: string): Promise<string> =>
    bundleForSandbox(new URL(`./harness/${name}`, import.meta.url), [
      './pyodide*',
      './python_stdlib.zip',
      './snapshot.bin',
    ])
  return { harness: await bundle('main.ts'), snapshotMaker: await bundle('make-snapshot.ts') }
}
