/**
 * Which wheels a script can be given: their names say what they were built for (binary distribution format of the Python Packaging
 * User Guide, "File name convention"; platforms of Pyodide: PEP 783).
 */

import { TalkootError } from '../errors.ts'

/** Compiled extensions: of the CPython and the Emscripten of the Pyodide that is shipped. */
export const COMPILED_TAG = 'cp314-cp314-pyemscripten_2026_0_wasm32'

const PURE_TAG = /^(py3|py3\d|py31[0-4]|cp314)-none-any$/
const NAME = /-([^-]+)-([^-]+)-([^-]+)\.whl$/

/** @param paths of the files it is given. @throws E_WHEEL naming the first that is unpacked there and was built for something else */
export function checkWheels(paths: Iterable<string>): void {
  for (const path of paths) {
    if (!isWheel(path) || tagsOf(path).some((tag) => tag === COMPILED_TAG || PURE_TAG.test(tag))) continue
    throw new TalkootError('E_WHEEL', `${path}: wheels are of pure Python (py3-none-any) or of ${COMPILED_TAG}`)
  }
}

/** Others lie in folders, and are data. */
const isWheel = (path: string): boolean => path.endsWith('.whl') && !path.includes('/')

/** Each part of a name may stand for several. */
function tagsOf(path: string): string[] {
  const [pythons = [], abis = [], platforms = []] = (NAME.exec(path) ?? []).slice(1).map((part) => part.split('.'))
  return pythons.flatMap((python) => abis.flatMap((abi) => platforms.map((platform) => `${python}-${abi}-${platform}`)))
}
