/** WebAssembly on a sweep, from the command line and the SDK, on real nodes: what the examples run. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Jobs } from '../../protocol/api.ts'
import type { Reproduction } from '../../protocol/reproduction.ts'
import { grid, linspace, Mesh, range, wasi, wasm } from '../../sdk/index.ts'
import { wasmOf } from '../runtimes/wat.ts'
import { Lab, type NodeProcess } from './node-process.ts'

const example = (name: string): string => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url))
const LYAPUNOV = example('lyapunov/lyapunov.wasm')
const QUEENS = example('queens/queens.wasm')

let lab: Lab
let home: NodeProcess
beforeAll(async () => {
  lab = new Lab()
  home = await lab.node('home', ['--cores', '1'])
  await lab.node('other', ['--cores', '1', '--join', await home.token()])
  await home.sees(2)
})
afterAll(() => lab[Symbol.asyncDispose]())

it.each([LYAPUNOV, QUEENS])('the module of an example is what its text says: %s', (file) => {
  expect(readFileSync(file)).toEqual(wasmOf(readFileSync(file.replace('.wasm', '.wat'), 'utf8')))
})

it('a function: each value agreed by two machines, the same from the command line', async () => {
  await using mesh = await Mesh.connect({ home: home.home })
  const exponent = wasm(LYAPUNOV, { takes: ['r', 'steps'] })
  const sweep = grid({ r: linspace(3.4, 4, 13), steps: [20_000] })
  await using job = await mesh.map(exponent, sweep, { verify: { quorum: 2, of: 2 } })
  const points = await job.collect()
  const at = (r: number) => points.find(({ params }) => params.r === r)?.value ?? Number.NaN
  // In theory ln 2; before 3.57 there is no chaos.
  expect(Math.abs(at(4) - Math.LN2)).toBeLessThan(0.01)
  expect(points.filter(({ params, value }) => params.r < 3.56 && value > 0)).toEqual([])

  const flags = ['--param', 'r=4', '--param', 'steps=20000', '--takes', 'r,steps', '--quorum', '2', '-o', 'jsonl']
  const { code, stdout } = await home.run(['run', ...flags, LYAPUNOV])
  expect([code, JSON.parse(stdout).value]).toEqual([0, at(4)])
})

it('a program: what it prints on each point, agreed by two machines; the same from the command line', async () => {
  await using mesh = await Mesh.connect({ home: home.home })
  await using job = await mesh.map(wasi(QUEENS, ['8', '{column}']), grid({ column: range(8) }), {
    verify: { quorum: 2, of: 2 },
  })
  const counts = (await job.collect()).map(({ value }) => Number(value.stdout))
  expect(counts).toEqual([4, 8, 16, 18, 18, 16, 8, 4])

  const out = await home.run(['run', '--param', 'n=6,7,20', '-o', 'jsonl', QUEENS, '--', '{n}', '2'])
  const rows = out.stdout
    .trim()
    .split('\n')
    .map((row) => JSON.parse(row))
  expect(Object.fromEntries(rows.map(({ params, value }) => [params.n, value?.stdout]))).toEqual({ 6: '1', 7: '6' })
  expect([out.code, out.stderr]).toEqual([5, expect.stringContaining('1 of 3 units')])
  // What failed, once more here: with the words of the program.
  const { jobs } = await home.json<Jobs>(['jobs'])
  const again = await home.run(['job', 'reproduce', jobs[0]?.id ?? '', '2', '--json'])
  const { attempt, same }: Reproduction = JSON.parse(again.stdout)
  expect(attempt).toMatchObject({ code: 'E_EXIT', message: expect.stringMatching(/^exit code 2\nusage: queens/) })
  expect(same).toBe(true)
})

it('files in and out', async () => {
  const text = `(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "in/words") (data (i32.const 16) "copy.txt") (data (i32.const 32) "\\00\\02\\00\\00\\e8\\03\\00\\00")
    (func $opened (param $at i32) (param $flags i32) (param $rights i64) (result i32)
      (drop (call $open (i32.const 3) (i32.const 0) (local.get $at) (i32.const 8) (local.get $flags) (local.get $rights)
        (i64.const 0) (i32.const 0) (i32.const 64)))
      (i32.load (i32.const 64)))
    (func (export "_start")
      (drop (call $read (call $opened (i32.const 0) (i32.const 0) (i64.const 2)) (i32.const 32) (i32.const 1) (i32.const 36)))
      (drop (call $write (call $opened (i32.const 16) (i32.const 1) (i64.const 64)) (i32.const 32) (i32.const 1) (i32.const 68)))))`
  const file = join(lab.folder, 'copy.wasm')
  writeFileSync(file, wasmOf(text))
  mkdirSync(join(lab.folder, 'in'))
  writeFileSync(join(lab.folder, 'in', 'words'), 'whole words\n')
  await using mesh = await Mesh.connect({ home: home.home })
  const copy = wasi(file, [], { inputs: ['in'], outputs: ['copy.txt'], cwd: lab.folder })
  await using job = await mesh.map(copy, grid({ x: [1, 2] }))
  expect((await job.collect()).map(({ value }) => value.files?.bytes)).toEqual([12, 12])
  const folder = join(lab.folder, 'results')
  const { code } = await home.run(['job', 'results', job.id, '--out', folder])
  expect(code).toBe(0)
  const copies = ['000000', '000001'].map((unit) => readFileSync(join(folder, 'units', unit, 'copy.txt'), 'utf8'))
  expect(copies).toEqual(['whole words\n', 'whole words\n'])
})

it('what no machine could run is refused before anything is sent', async () => {
  const refused = async (...args: string[]) => (await home.run(['run', ...args])).stderr
  expect(await refused('--param', 'r=4', '--takes', 'r', LYAPUNOV)).toMatch(/E_SOURCE.*unit\(f64, i32\) -> \(f64\)/s)
  expect(await refused('--param', 'r=4', '--takes', 'r,steps', LYAPUNOV)).toMatch(/E_JOB_INVALID.*\{steps\}/s)
  expect(await refused('--takes', 'r', QUEENS)).toMatch(/E_USAGE.*this is a WASI program/s)
  expect(await refused(LYAPUNOV, '--', 'argument')).toMatch(/E_USAGE.*no _start/s)
  expect(await refused('--gives', 'text', LYAPUNOV)).toMatch(/E_USAGE.*not text/s)
  expect(await refused(QUEENS, 'argument')).toMatch(/E_USAGE.*after --/s)
})
