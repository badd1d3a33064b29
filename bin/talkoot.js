#!/usr/bin/env node
// Starts talkoot under a Node.js that can run it, whatever `node` is on the path: plain JavaScript for Node.js >= 18.

import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { program } from './program.js'

const YOUNG_BYTES_MAX = 8 * 2 ** 20
const YOUNG_CHECK_MS = 250
const OLD_GARBAGE_PERCENT = 50

const major = Number(process.versions.node.split('.')[0])

// Eight threads that each keep a heap of their own cost an idle node 10 MB; a heap that is not cut back when much of it was
// freed, 4 MB; one that holds what is larger than 1 MiB (the text of the program, read and let go of), 4 MB of holes. Left to
// itself the C library learns to keep up to 64 MB.
const MIB = String(2 ** 20)
const LEAN = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: MIB, MALLOC_MMAP_THRESHOLD_: MIB }

if (major < 24) runUnder(newerNode())
else if (process.argv[2] === 'up' && mayStartAgain()) startAgain()
else await runHere()

/** The C library reads its settings once, as the process starts; a channel to a parent would not outlive starting again. */
function mayStartAgain() {
  const { platform, env, channel, execve } = process
  return platform === 'linux' && env.MALLOC_ARENA_MAX === undefined && channel === undefined && execve !== undefined
}

/** In the same process: its id, its parent and its terminal stay. */
function startAgain() {
  process.emitWarning = () => undefined
  const args = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  process.execve(process.execPath, args, { ...process.env, ...LEAN })
}

async function runHere() {
  keepYoungGenerationSmall()
  keepOldGenerationSmall()
  const { emitWarning } = process
  process.emitWarning = (warning, ...rest) => {
    const type = typeof rest[0] === 'object' ? rest[0]?.type : rest[0]
    if (type !== 'ExperimentalWarning') emitWarning.call(process, warning, ...rest)
  }
  await import(program())
}

/**
 * V8 lets the young generation grow to 128 MiB, nearly all of it garbage; a node is a small guest on its machine. The flag
 * for it is read at the start of a process only, and this one has started: so growth itself is stopped at the size, which
 * is looked at now and then and may be passed by a doubling or two.
 */
function keepYoungGenerationSmall() {
  const govern = () => {
    const young = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')
    const grows = (young?.space_size ?? 0) < YOUNG_BYTES_MAX
    setFlagsFromString(`--semi-space-growth-factor=${grows ? 2 : 1}`)
  }
  setInterval(govern, YOUNG_CHECK_MS).unref()
}

/**
 * V8 collects the old generation when it has grown to some four times what lived at the last collection: of a busy node three
 * quarters of it are garbage. Collections are cheap, for little lives: they come when it has grown by half.
 */
function keepOldGenerationSmall() {
  setFlagsFromString(`--heap-growing-percent=${OLD_GARBAGE_PERCENT}`)
}

function newerNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve('node/package.json')
    return join(dirname(manifest), 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  } catch {
    process.stderr.write(`✖ talkoot needs Node.js 24 or newer, this is ${process.versions.node}\n`)
    process.stderr.write('  your move → install it from https://nodejs.org, or run `npm install` in the checkout\n')
    process.exit(1)
  }
}

function runUnder(node) {
  const args = ['--disable-warning=ExperimentalWarning', fileURLToPath(import.meta.url), ...process.argv.slice(2)]
  // The channel tells the child when this process is gone, even if it was killed.
  const child = spawn(node, args, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...LEAN, ...process.env, TALKOOT_LAUNCHED: '1' },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    process.stderr.write(`✖ ${node} does not start: ${error.message}\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}
