/** Files of a program, from the command line of one machine into units on all of them. */

import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Jobs } from '../../protocol/api.ts'
import { Lab, type NodeProcess, until } from './node-process.ts'

const MiB = 2 ** 20
const PYTHON = '/usr/bin/python3'
const BIG_BYTES = 24 * MiB + 3

type Row = { params: { p: number }; value: { stdout: string }; peers: string[] }

let lab: Lab
let home: NodeProcess
let far: NodeProcess
let files: string
/** Why programs cannot be run here. */
let obstacle: string | null = null

beforeAll(async () => {
  lab = new Lab()
  home = await lab.node('home', ['--cores', '1', '--disk', '64MiB'])
  const { runtimes } = await home.json<{ runtimes: { kind: string }[] }>(['status'])
  if (!runtimes.some(({ kind }) => kind === 'command')) obstacle = 'no programs on this machine'
  far = await lab.node('far', ['--cores', '1', '--disk', '64MiB', '--join', await home.token()])
  await home.sees(2)
  files = join(lab.folder, 'files')
  mkdirSync(join(files, 'points'), { recursive: true })
  writeFileSync(join(files, 'big.bin'), Buffer.alloc(BIG_BYTES, 'talkoot'))
  for (let p = 0; p < 20; p++) writeFileSync(join(files, 'points', `${p}.txt`), `point ${p}`)
  writeFileSync(join(files, 'sum.sh'), '#!/bin/sh\nsleep 0.1; wc -c < $1; cat $2\n', { mode: 0o755 })
})
afterAll(() => lab[Symbol.asyncDispose]())

const runs = (name: string, body: () => Promise<void>): void =>
  it(name, async (context) => {
    if (obstacle === null) await body()
    else await context.annotate(`not run: ${obstacle}`)
  })
const inputs = (...names: string[]) => names.flatMap((name) => ['--in', name])
const run = (args: string[], options: { cwd?: string } = {}) => home.run(args, options)

runs('a large file, a program and the file of each point are there on every machine', async () => {
  const named = inputs('big.bin', '*.sh', 'points/{p}.txt')
  const sweep = ['--param', 'p=0:20:1', '--quorum', '2', '--json']
  const { code, stdout, stderr } = await run(
    ['run', ...sweep, ...named, '--', './sum.sh', 'big.bin', 'points/{p}.txt'],
    {
      cwd: files,
    },
  )
  expect([code, stderr]).toEqual([0, expect.stringContaining('20 of 20 units accepted')])
  const { results: rows }: { results: Row[] } = JSON.parse(stdout)
  for (const { params, value } of rows) expect(value.stdout).toBe(`${BIG_BYTES}\npoint ${params.p}`)
  expect(new Set(rows.flatMap(({ peers }) => peers)).size).toBe(2)
  const kept = readdirSync(join(far.home, 'trees')).map((digest) => join(far.home, 'trees', digest, 'files/big.bin'))
  const copies = kept.filter((file) => existsSync(file))
  expect(copies.map((file) => readFileSync(file).equals(readFileSync(join(files, 'big.bin'))))).toEqual([true])
})

runs('a folder is on every machine where it is here, with its programs and its links', async () => {
  const env = join(files, 'env')
  mkdirSync(join(env, 'bin'), { recursive: true })
  mkdirSync(join(env, 'lib'))
  writeFileSync(join(env, 'bin', 'whereami'), `#!/bin/sh\nsleep 0.1; cat ${env}/lib64/word; echo $0\n`, { mode: 0o755 })
  writeFileSync(join(env, 'lib', 'word'), 'word\n')
  symlinkSync('lib', join(env, 'lib64'))
  const { stdout } = await run(
    ['run', '--json', '--quorum', '2', '--param', 'p=0:12:1', '--folder', 'env', '--', 'whereami'],
    {
      cwd: files,
    },
  )
  const { results: rows }: { results: Row[] } = JSON.parse(stdout)
  for (const { value } of rows) expect(value.stdout).toBe(`word\n${env}/bin/whereami`)
  expect(rows).toHaveLength(12)
})

/** As conda-pack unpacks: a Python of its own, files that hold where it was made, and what puts in where it is. */
function packedEnvironment(place: string): void {
  const made = join(files, 'where', 'it', 'was', 'made')
  const listed =
    'import site, sys; print(*sys.version_info[:2], *{m.__file__ for m in sys.modules.values() if getattr(m, "__file__", None)})'
  const [major, minor, ...modules] = execFileSync(PYTHON, ['-IS', '-c', listed], { encoding: 'utf8' }).trim().split(' ')
  const library = join(place, 'lib', `python${major}.${minor}`)
  for (const module of modules) {
    const to = join(library, module.slice(module.indexOf('/', module.lastIndexOf('/python') + 1)))
    mkdirSync(dirname(to), { recursive: true })
    copyFileSync(module, to)
  }
  writeFileSync(join(library, 'own.py'), `where = '${made}/share'\n`)
  mkdirSync(join(place, 'bin'))
  copyFileSync(PYTHON, join(place, 'bin', 'python3'))
  const program = (name: string, text: string) => writeFileSync(join(place, 'bin', name), text, { mode: 0o755 })
  program('tool', '#!/usr/bin/env python3\nimport os, own, sys\nprint(sys.prefix, own.where, os.__file__)\n')
  program('conda-unpack', `#!/bin/sh\nsed -i "s|${made}|${place}|" ${library}/own.py\n`)
}

runs('an unpacked conda pack is on every machine, with its own Python', async () => {
  if (!existsSync(PYTHON)) return console.warn(`not run: an unpacked conda pack: no ${PYTHON}`)
  const env = join(files, 'unpacked')
  packedEnvironment(env)
  execFileSync(join(env, 'bin', 'conda-unpack'))
  const flags = ['--json', '--quorum', '2', '--param', 'p=0:4:1', '--folder', 'unpacked']
  const { stdout } = await run(['run', ...flags, '--', 'tool'], { cwd: files })
  const { results: rows }: { results: Row[] } = JSON.parse(stdout)
  const [prefix, where, library] = rows[0]?.value.stdout.split(' ') ?? []
  expect([prefix, where]).toEqual([env, join(env, 'share')])
  expect(library).toMatch(new RegExp(`^${env}/lib/python[0-9.]+/os.py$`))
  expect(rows.map(({ value }) => value.stdout)).toEqual(Array(4).fill(rows[0]?.value.stdout))
})

runs('a job goes on with its files when its machine has been killed', async () => {
  writeFileSync(join(files, 'slow.sh'), '#!/bin/sh\nsleep 0.4; cat big.bin | wc -c\n', { mode: 0o755 })
  const { code } = await run(['submit', '--param', 'p=0:10:1', ...inputs('big.bin', 'slow.sh'), '--', './slow.sh'], {
    cwd: files,
  })
  expect(code).toBe(0)
  await home.kill('SIGKILL')
  await home.start()
  const newest = async () => (await home.json<Jobs>(['jobs'])).jobs[0]
  await until('the job to end', 160_000, async () => (await newest())?.state === 'done')
  expect(await newest()).toMatchObject({ accepted: 10, failed: 0 })
})

runs('what no tree may have is refused with its code before a byte is read', async () => {
  const submit = async (name: string): Promise<string> => {
    const { code, stderr } = await run(['submit', '--json', ...inputs(name), '--', 'true'], { cwd: files })
    expect(code).not.toBe(0)
    return JSON.parse(stderr).error.code
  }
  const bad = (name: string): string => {
    mkdirSync(join(files, 'bad', name), { recursive: true })
    return join('bad', name)
  }
  symlinkSync('/etc/passwd', join(files, bad('link'), 'passwd'))
  writeFileSync(join(files, bad('line'), 'two\nlines'), '')
  writeFileSync(join(files, bad('bell'), 'a\u0007b'), '')
  writeFileSync(join(files, bad('case'), 'A'), '')
  writeFileSync(join(files, 'bad/case/a'), '')
  writeFileSync(join(files, bad('sparse'), 'ten'), '')
  truncateSync(join(files, 'bad/sparse/ten'), 10e9)
  for (const name of ['link', 'line', 'bell', 'case', 'sparse']) {
    expect([name, await submit(`bad/${name}`)]).toEqual([name, 'E_TREE'])
  }
  expect(await submit('absent')).toBe('E_FILE')
  expect(await submit('*.absent')).toBe('E_FILE')
  writeFileSync(join(files, 'full'), '')
  truncateSync(join(files, 'full'), 70 * MiB)
  expect(await submit('full')).toBe('E_DISK_BUDGET')
})
