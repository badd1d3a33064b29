/** A program as a task: what is read of its files, and what is refused. */

import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { digestOf } from '../../protocol/canonical.ts'
import { decodeProgram } from '../../protocol/command/program.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { compileSweep } from '../../protocol/sweep/generator.ts'
import { type CommandOptions, command } from '../../sdk/command.ts'
import { filledNames, readInputs } from '../../sdk/inputs.ts'

const signal = new AbortController().signal
let cwd: string
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'talkoot-command-'))
  mkdirSync(join(cwd, 'in', 'data', 'deep'), { recursive: true })
  writeFileSync(join(cwd, 'in', 'run.sh'), 'echo')
  chmodSync(join(cwd, 'in', 'run.sh'), 0o755)
  writeFileSync(join(cwd, 'in', 'data', 'b'), 'B')
  writeFileSync(join(cwd, 'in', 'data', 'deep', 'a'), 'A')
  writeFileSync(join(cwd, 'in', 'data', '[odd].txt'), 'O')
  writeFileSync(join(cwd, 'outside'), 'O')
})
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

const read = (...inputs: string[]) => readInputs(inputs, join(cwd, 'in'), { signal })
const NO_POINTS = () => compileSweep({ kind: 'points', points: [{}] }, () => new Uint8Array())
const bundle = (argv: string[], options: CommandOptions = {}) =>
  command(argv, { cwd: join(cwd, 'in'), ...options }).bundle({ points: NO_POINTS, signal })
const paths = async (...inputs: string[]) => [...((await read(...inputs))?.files.keys() ?? [])].sort()

it('holds its files at the paths they were named by, and is one task whatever their order', async () => {
  const local = await read('./data/', 'run.sh', '../outside')
  expect(local?.tree.files.map(({ path, executable, bytes }) => [path, executable, bytes])).toEqual([
    ['data/[odd].txt', false, 1],
    ['data/b', false, 1],
    ['data/deep/a', false, 1],
    ['outside', false, 1],
    ['run.sh', true, 4],
  ])
  const { ref, source, agreement } = await bundle(['./run.sh'], { inputs: ['run.sh', 'data', '../outside'] })
  const text = new TextDecoder().decode(source)
  expect(decodeProgram(text).inputs).toEqual({ digest: local?.ref.digest, bytes: 8 })
  expect([ref, agreement]).toEqual([{ runtime: 'command', digest: digestOf(text), bytes: source.length }, 'exact'])
  expect((await read('../outside', 'run.sh', 'data', 'data/b'))?.ref).toEqual(local?.ref)
})

it('takes globs, and a file by its name whatever characters it has', async () => {
  expect(await paths('data/**/*')).toEqual(['data/[odd].txt', 'data/b', 'data/deep/a'])
  expect(await paths('data/[a-c]')).toEqual(['data/b'])
  expect(await paths('data/[odd].txt')).toEqual(['data/[odd].txt'])
  await expect(read('*.csv')).rejects.toMatchObject({ code: 'E_FILE', message: expect.stringContaining('matches') })
})

it('takes the file of each point', async () => {
  const sweep = compileSweep(
    { kind: 'points', points: [{ f: 'b' }, { f: 'deep/a' }, { f: 'b' }] },
    () => new Uint8Array(),
  )
  expect([...filledNames(['data/{f}'], () => sweep)]).toEqual([['data/{f}', new Set(['data/b', 'data/deep/a'])]])
  const faults: [string, RegExp][] = [
    ['{g}', /names {g}/],
    ['{', /single/],
  ]
  for (const [name, fault] of faults) {
    expect(() => filledNames([name], () => sweep)).toThrow(
      expect.objectContaining({ code: 'E_INPUT', message: expect.stringMatching(fault) }),
    )
  }
  const many = { from: 0, to: LIMITS.INPUT_POINTS_MAX + 1, step: 1 }
  const long = compileSweep({ kind: 'product', axes: [['x', { kind: 'range', ...many }]] }, () => new Uint8Array())
  expect(() => filledNames(['{x}'], () => long)).toThrow(expect.objectContaining({ code: 'E_SWEEP_TOO_BIG' }))
})

it('has files of points in a tree of their own, but for what all units find or a template does not name itself', async () => {
  const points = () => compileSweep({ kind: 'points', points: [{ f: 'b' }, { f: 'deep' }] }, () => new Uint8Array())
  const described = async (...inputs: string[]) => {
    const context = { points, signal }
    const { source, trees } = await command(['true'], { cwd: join(cwd, 'in'), inputs }).bundle(context)
    const { inputs: shared, pointInputs } = decodeProgram(new TextDecoder().decode(source))
    const pathsOf = (digest: string | undefined) =>
      trees.find(({ ref }) => ref.digest === digest)?.tree.files.map(({ path }) => path) ?? []
    return [pathsOf(shared?.digest), pathsOf(pointInputs?.tree.digest), pointInputs?.names ?? [], trees.length]
  }
  const [own, names] = [['data/b', 'data/deep/a'], ['data/{f}']]
  expect(await described('data/{f}')).toEqual([[], own, names, 1])
  expect(await described('run.sh', 'data/{f}')).toEqual([['run.sh'], own, names, 2])
  expect(await described('data/b', 'data/{f}')).toEqual([['data/b'], ['data/deep/a'], names, 2])
  expect(await described('data', 'data/{f}')).toEqual([['data/[odd].txt', ...own], [], [], 1])
  expect(await described('[d]ata/{f}')).toEqual([own, [], [], 1])
  symlinkSync('b', join(cwd, 'in', 'data', 'deep', 'beside'))
  await expect(described('data/{f}')).rejects.toMatchObject({ code: 'E_TREE' })
  rmSync(join(cwd, 'in', 'data', 'deep', 'beside'))
  symlinkSync('a', join(cwd, 'in', 'data', 'deep', 'link'))
  expect(await described('data/{f}')).toEqual([own, [], [], 1])
  rmSync(join(cwd, 'in', 'data', 'deep', 'link'))
  mkdirSync(join(cwd, 'elsewhere'))
  writeFileSync(join(cwd, 'elsewhere', 'b'), '')
  // One place, by another name: two files.
  writeFileSync(join(cwd, 'in', 'deep'), '')
  writeFileSync(join(cwd, 'elsewhere', 'deep'), '')
  await expect(described('deep', '../elsewhere/{f}')).rejects.toMatchObject({ code: 'E_TREE' })
  rmSync(join(cwd, 'in', 'deep'))
})

it('is refused with what is wrong', async () => {
  await expect(read('absent')).rejects.toMatchObject({ code: 'E_FILE', message: expect.stringContaining('absent') })
  mkdirSync(join(cwd, 'other'))
  writeFileSync(join(cwd, 'other', 'run.sh'), '')
  await expect(read('run.sh', '../other/run.sh')).rejects.toMatchObject({ code: 'E_TREE' })
  await expect(bundle(['{'])).rejects.toMatchObject({ code: 'E_TASK_INVALID' })
  await expect(bundle([])).rejects.toMatchObject({ code: 'E_TASK_INVALID' })
  await expect(bundle(['a'], { env: { 'A B': '' } })).rejects.toMatchObject({
    code: 'E_TASK_INVALID',
  })
})

it('follows no link that leads out, and reads nothing that is no file', async () => {
  symlinkSync('/etc/passwd', join(cwd, 'in', 'link'))
  await expect(read('link')).rejects.toMatchObject({ code: 'E_TREE' })
  await expect(read('.')).rejects.toMatchObject({ code: 'E_TREE' })
  await expect(read('/dev/null')).rejects.toMatchObject({ code: 'E_TREE' })
  rmSync(join(cwd, 'in', 'link'))
})

it('over the limits is refused before it is read', async () => {
  writeFileSync(join(cwd, 'in', 'sparse'), '')
  truncateSync(join(cwd, 'in', 'sparse'), 10 * 2 ** 30)
  await expect(read('sparse')).rejects.toMatchObject({ code: 'E_TREE' })
  rmSync(join(cwd, 'in', 'sparse'))
})
