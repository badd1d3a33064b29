/**
 * What runs: the program and its libraries as a few files of plain JavaScript, built from the sources when they have changed.
 *
 * Node can run the sources as they are, but pays for it at every start: it strips the types (a compiler of 26 MB), reads
 * a thousand modules and keeps the text of each. Where nothing can be built or kept, the sources run.
 */

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const SOURCES = ['bin', 'node', 'protocol', 'sdk', 'examples', 'package.json', 'package-lock.json']
const BUILDS_KEPT = 4
const BUILD_TIMEOUT_MS = 60_000

/** The module to import. */
export function program() {
  try {
    const builds = join(ROOT, 'node_modules', '.cache', 'talkoot', digest(ROOT))
    const build = join(builds, digest(fingerprint()))
    if (!existsSync(build)) make(builds, build)
    return pathToFileURL(join(build, 'main.js')).href
  } catch {
    return pathToFileURL(join(ROOT, 'node', 'cli', 'main.ts')).href
  }
}

const digest = (text) => createHash('sha256').update(text).digest('hex').slice(0, 16)

/** Changes when any source does: names, sizes and times of all of them. */
function fingerprint() {
  const files = SOURCES.flatMap((name) => {
    const path = join(ROOT, name)
    if (!statSync(path).isDirectory()) return [path]
    return readdirSync(path, { recursive: true }).map((file) => join(path, file))
  })
  const lines = files.map((file) => {
    const { size, mtimeMs } = statSync(file)
    return `${file} ${size} ${mtimeMs}`
  })
  return lines.sort().join('\n')
}

/** Built beside and renamed: whoever starts at the same time finds all of it or none. */
function make(builds, build) {
  mkdirSync(builds, { recursive: true })
  const unfinished = mkdtempSync(join(builds, 'unfinished-'))
  try {
    // In a process of its own: what building takes, the node does not keep.
    const script = fileURLToPath(new URL('./build.js', import.meta.url))
    const { status } = spawnSync(process.execPath, [script, unfinished], { timeout: BUILD_TIMEOUT_MS })
    if (status !== 0) throw new Error('not built')
    // For all users of this checkout; `mkdtemp` makes it private.
    chmodSync(unfinished, 0o755)
    if (!existsSync(build)) renameSync(unfinished, build)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
  forgetOld(builds)
}

function forgetOld(builds) {
  const byAge = readdirSync(builds)
    .map((name) => ({ path: join(builds, name), madeAt: statSync(join(builds, name)).mtimeMs }))
    .sort((a, b) => b.madeAt - a.madeAt)
  for (const { path } of byAge.slice(BUILDS_KEPT)) rmSync(path, { recursive: true, force: true })
}
