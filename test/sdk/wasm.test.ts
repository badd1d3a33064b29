/** WebAssembly as a task: what is read of it, what its types are, and what is refused. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, expectTypeOf, it } from 'vitest'
import { digestOf } from '../../protocol/canonical.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { RUNTIME_KINDS } from '../../protocol/runtime-kinds.ts'
import { compileSweep } from '../../protocol/sweep/generator.ts'
import { decodeModuleTask } from '../../protocol/wasm/module-task.ts'
import { decodeWasiProgram } from '../../protocol/wasm/wasi-program.ts'
import {
  type CommandValue,
  grid,
  type Job,
  type Json,
  type Mesh,
  range,
  type WasiOptions,
  wasi,
  wasm,
} from '../../sdk/index.ts'
import { wasi as programText, wasmOf } from '../runtimes/wat.ts'

let cwd: string
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'talkoot-wasm-'))
  writeFileSync(
    join(cwd, 'sum.wasm'),
    wasmOf('(module (func (export "sum") (param f64 f64) (result f64) (f64.const 0)))'),
  )
  writeFileSync(join(cwd, 'program.wasm'), wasmOf(programText('')))
  mkdirSync(join(cwd, 'data'))
  for (const name of ['a', 'b']) writeFileSync(join(cwd, 'data', name), name)
  writeFileSync(join(cwd, 'text'), 'no module')
})
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

const { signal } = new AbortController()
const points = () => compileSweep({ kind: 'points', points: [{ x: 'a' }] }, () => new Uint8Array())
const program = (args: string[], options: WasiOptions = {}) =>
  wasi('program.wasm', args, { cwd, ...options }).bundle({ points, signal })

it('a function is sent as it is called', async () => {
  const { ref, source } = await wasm('sum.wasm', { export: 'sum', takes: ['x', 'y'], cwd }).bundle()
  const text = new TextDecoder().decode(source)
  expect(ref).toEqual({ runtime: 'wasm', digest: digestOf(text), bytes: source.length })
  expect(decodeModuleTask(text)).toMatchObject({ export: 'sum', takes: ['x', 'y'], gives: 'number' })
})

it('a program is sent with its files, one task whatever their order', async () => {
  const { ref, source, trees } = await program(['{x}'], { inputs: ['data/{x}', 'data', 'text'], outputs: ['out'] })
  const text = new TextDecoder().decode(source)
  const sent = decodeWasiProgram(text)
  expect(trees.map((tree) => tree.ref)).toEqual([sent.inputs])
  expect(trees[0]?.tree.files.map(({ path, bytes }) => [path, bytes])).toEqual([
    ['data/a', 1],
    ['data/b', 1],
    ['text', 9],
  ])
  expect([ref.runtime, sent.outputs]).toEqual(['wasi', ['out']])
  expect(RUNTIME_KINDS.wasi.treesOf(text)).toEqual([sent.inputs])
  expect((await program(['{x}'], { inputs: ['text', 'data'], outputs: ['out'] })).ref).toEqual(ref)
})

it('is refused with what is wrong', async () => {
  const refused = (code: string, says = '') =>
    expect.objectContaining({ code, message: expect.stringContaining(says) }) as Error
  const sum = (takes: string[]) => wasm('sum.wasm', { export: 'sum', takes, cwd }).bundle()
  await expect(sum(['x'])).rejects.toEqual(refused('E_SOURCE', 'sum(f64, f64) -> (f64)'))
  await expect(sum(Array(LIMITS.WASM_PARAMETERS_MAX + 1).fill('x'))).rejects.toEqual(refused('E_TASK_INVALID'))
  await expect(sum(['x', 'x'.repeat(LIMITS.WASM_NAME_MAX_CHARS + 1)])).rejects.toEqual(refused('E_TASK_INVALID'))
  await expect(wasm('absent.wasm', { takes: 'json', cwd }).bundle()).rejects.toEqual(refused('E_FILE', 'absent'))
  await expect(wasm('text', { takes: 'json', cwd }).bundle()).rejects.toEqual(refused('E_SOURCE', 'no WebAssembly'))
  await expect(program(['{'])).rejects.toEqual(refused('E_TASK_INVALID', 'single {'))
  await expect(program([], { outputs: ['{'] })).rejects.toEqual(refused('E_TASK_INVALID', 'single {'))
  await expect(program([], { env: { 'A B': '' } })).rejects.toEqual(refused('E_TASK_INVALID'))
  symlinkSync('a', join(cwd, 'data', 'link'))
  await expect(program([], { inputs: ['data'] })).rejects.toEqual(refused('E_TREE', 'data/link is a link'))
  rmSync(join(cwd, 'data', 'link'))
  const many = Array.from({ length: LIMITS.COMMAND_OUTPUTS_MAX + 1 }, (_, i) => `f${i}`)
  await expect(program([], { outputs: many })).rejects.toEqual(refused('E_TASK_INVALID'))
})

it('over the limits is refused before it is read', async () => {
  writeFileSync(join(cwd, 'sparse'), '')
  truncateSync(join(cwd, 'sparse'), 2 ** 30)
  const code = 'E_TASK_TOO_BIG'
  await expect(wasm('sparse', { takes: [], cwd }).bundle()).rejects.toMatchObject({ code })
  truncateSync(join(cwd, 'sparse'), LIMITS.TREE_MAX_BYTES + 1)
  await expect(program([], { inputs: ['sparse'] })).rejects.toMatchObject({ code: 'E_TREE' })
  mkdirSync(join(cwd, 'many'))
  for (let i = 0; i <= LIMITS.SANDBOX_INPUT_FILES_MAX; i++) writeFileSync(join(cwd, 'many', String(i)), '')
  await expect(program([], { inputs: ['many'] })).rejects.toMatchObject({ code: 'E_TREE' })
})

it('has the types of what it takes and gives', () => {
  const mesh = { map: (): never => expect.fail('for the compiler only') } as Pick<Mesh, 'map'>
  const typesOnly = (_: () => unknown): void => undefined
  typesOnly(async () => {
    const sweep = grid({ x: range(3), y: [1.5], name: ['a'] })
    type Point = { readonly x: number; readonly y: 1.5; readonly name: 'a' }
    const number = await mesh.map(wasm('f', { takes: ['x', 'y'] }), sweep)
    expectTypeOf(number).toEqualTypeOf<Job<Point, number>>()
    expectTypeOf(await mesh.map(wasm('f', { takes: ['x'], gives: 'floats' }), sweep)).toEqualTypeOf<
      Job<Point, number[]>
    >()
    expectTypeOf(await mesh.map(wasm('f', { takes: 'json' }), sweep)).toEqualTypeOf<Job<Point, Json>>()
    const own = wasm<{ name: string }, { text: string }>('f', { takes: 'json' })
    expectTypeOf(await mesh.map(own, sweep)).toEqualTypeOf<Job<Point, { text: string }>>()
    expectTypeOf(await mesh.map(wasi('p', [], { outputs: ['a.txt'] }), sweep)).toEqualTypeOf<Job<Point, CommandValue>>()
    // @ts-expect-error no such axis
    mesh.map(wasm('f', { takes: ['z'] }), sweep)
    // @ts-expect-error a name is no number
    mesh.map(wasm('f', { takes: ['name'] }), sweep)
    // @ts-expect-error it takes a name
    mesh.map(own, grid({ x: range(3) }))
  })
})
