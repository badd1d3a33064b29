/** A program in an image as a task: what is read of it, and what is refused. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { decodeContainer } from '../../protocol/command/container.ts'
import { RUNTIME_KINDS } from '../../protocol/runtime-kinds.ts'
import { compileSweep } from '../../protocol/sweep/generator.ts'
import type { CommandOptions } from '../../sdk/command.ts'
import { container } from '../../sdk/container.ts'

let cwd: string
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'talkoot-container-'))
  mkdirSync(join(cwd, 'folder'))
  for (const name of ['app.tar', 'same.tar', 'folder/a', 'folder/b']) writeFileSync(join(cwd, name), 'bytes')
})
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

const signal = new AbortController().signal
const points = () => compileSweep({ kind: 'points', points: [{}] }, () => new Uint8Array())
const bundle = (image: string, argv: string[], more: CommandOptions = {}) =>
  container(image, argv, { inputs: ['folder'], cwd, ...more }).bundle({ points, signal })

it('names the image and its files, both to be sent with it', async () => {
  const { ref, source, trees } = await bundle('app.tar', ['run', '{x}'])
  const text = new TextDecoder().decode(source)
  const { image, program } = decodeContainer(text)
  expect(ref).toMatchObject({ runtime: 'container', bytes: source.length })
  expect(trees.map((tree) => tree.ref)).toEqual([image, program.inputs])
  const { treesOf, parametersOf, trust } = RUNTIME_KINDS.container
  expect([treesOf(text), parametersOf(text), trust]).toEqual([[image, program.inputs], ['x'], 'native'])
})

it('leaves files if it names some, and brings folders', async () => {
  const of = async (more: CommandOptions) => new TextDecoder().decode((await bundle('app.tar', ['run'], more)).source)
  const { leavesFiles, treesOf } = RUNTIME_KINDS.container
  const text = await of({ outputs: ['*.png'], folders: ['folder'] })
  expect([leavesFiles(text), leavesFiles(await of({}))]).toEqual([true, false])
  const { image, program } = decodeContainer(text)
  expect(program.folders.map(({ at }) => at)).toEqual([join(cwd, 'folder')])
  expect(treesOf(text)).toEqual([image, program.inputs, ...program.folders.map(({ tree }) => tree)])
})

it.each([
  ['a folder', 'folder', ['a'], 'E_TASK_INVALID'],
  ['no file', 'gone.tar', ['a'], 'E_FILE'],
  ['no program', 'app.tar', [], 'E_TASK_INVALID'],
])('%s is refused', async (_, image, argv, code) => {
  await expect(bundle(image, argv)).rejects.toMatchObject({ code })
})

it.each(['no JSON', '{"v":1}', '{"v":1,"image":{"digest":"x","bytes":1},"program":{}}'])('%s is no source', (text) => {
  expect(() => decodeContainer(text)).toThrow(expect.objectContaining({ code: 'E_SOURCE' }))
})
