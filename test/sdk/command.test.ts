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
  expect(filledNames(['run.sh', 'data/{f}'], () => sweep)).toEqual(['run.sh', 'data/b', 'data/deep/a'])
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
