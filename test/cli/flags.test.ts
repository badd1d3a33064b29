import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import picocolors from 'picocolors'
import { afterAll, describe, expect, test } from 'vitest'
import { parsePolicy } from '../../node/cli/policy-flags.ts'
import { parseCount, parseDuration, parseMebibytes } from '../../node/cli/quantities.ts'
import { bytes, count, duration, shortIds, shortPeers } from '../../node/cli/render/figures.ts'
import { ProgressLine } from '../../node/cli/render/progress.ts'
import { parseSweep, type SweepFlags } from '../../node/cli/sweep-flags.ts'
import { digestOf } from '../../protocol/canonical.ts'
import type { Sweep } from '../../protocol/sweep/schema.ts'
import { jobInfo } from '../api/fake-services.ts'
import { capture } from './harness.ts'

const folder = mkdtempSync(join(tmpdir(), 'talkoot-flags-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const dataOf = async (flags: SweepFlags): Promise<Sweep> =>
  parseSweep(flags, folder).toData(async (bytes) => digestOf(bytes))

describe('a sweep on a command line', () => {
  test('lists, ranges and spacings of numbers, and text', async () => {
    const param = ['a=1,2.5,1e3', 'b=0:2:0.5', 'c=0:3', 'd=linspace(0,1,5)', 'e=logspace(1,100,3)', 'f=x, true,null']
    expect(await dataOf({ param: [...param, 'g=[[1,2],{"k":"v"}]', 'h=-1:1'] })).toEqual({
      kind: 'product',
      axes: [
        ['a', { kind: 'list', values: [1, 2.5, 1000] }],
        ['b', { kind: 'range', from: 0, to: 2, step: 0.5 }],
        ['c', { kind: 'range', from: 0, to: 3, step: 1 }],
        ['d', { kind: 'linspace', from: 0, to: 1, count: 5 }],
        ['e', { kind: 'logspace', from: 1, to: 100, count: 3 }],
        ['f', { kind: 'list', values: ['x', true, null] }],
        ['g', { kind: 'list', values: [[1, 2], { k: 'v' }] }],
        ['h', { kind: 'range', from: -1, to: 1, step: 1 }],
      ],
    })
  })

  test('zip, random and latin', async () => {
    expect((await dataOf({ param: ['a=1,2', 'b=3,4'], zip: true })).kind).toBe('zip')
    const param = ['u=0:1', 'l=loguniform(1e-3,1)', 'i=integer(1,6)', 'c=red,blue']
    expect(await dataOf({ param, random: '10', seed: '7' })).toEqual({
      kind: 'random',
      count: 10,
      seed: 7,
      axes: [
        ['u', { kind: 'uniform', from: 0, to: 1 }],
        ['l', { kind: 'loguniform', from: 0.001, to: 1 }],
        ['i', { kind: 'integer', from: 1, to: 6 }],
        ['c', { kind: 'choice', values: ['red', 'blue'] }],
      ],
    })
    expect(await dataOf({ param: ['u=uniform(0,1)'], latin: '4' })).toMatchObject({ kind: 'latin', count: 4, seed: 0 })
  })

  test('JSON, inline or in a file, as axes or as the whole sweep', async () => {
    const sweep = '{"x": [1, 2], "y": "0:1:0.1"}'
    const product = await dataOf({ sweep })
    expect(product).toMatchObject({
      kind: 'product',
      axes: [
        ['x', { kind: 'list' }],
        ['y', { kind: 'range' }],
      ],
    })
    writeFileSync(join(folder, 'sweep.json'), sweep)
    expect(await dataOf({ sweep: 'sweep.json' })).toEqual(product)
    const whole = { kind: 'slice', of: product, from: 0, to: 3 }
    expect(await dataOf({ sweep: JSON.stringify(whole) })).toEqual(whole)
    // An axis may be called kind.
    expect(await dataOf({ sweep: '{"kind": "a,b"}' })).toMatchObject({ kind: 'product', axes: [['kind', {}]] })
  })

  test('rows of a file, alone and with axes', async () => {
    writeFileSync(join(folder, 'rows.csv'), 'a,b\n1,2\n3,4\n')
    expect(await dataOf({ rows: 'rows.csv' })).toMatchObject({ kind: 'rows', count: 2, format: 'csv' })
    expect(await dataOf({ rows: 'rows.csv', param: ['n=1,2'] })).toMatchObject({
      kind: 'cross',
      of: [{ kind: 'rows' }, { kind: 'product' }],
    })
  })

  test.each<[string, SweepFlags]>([
    ['nothing to sweep over', {}],
    ['no name', { param: ['1,2'] }],
    ['one name twice', { param: ['a=1', 'a=2'] }],
    ['no such function', { param: ['a=steps(1,2)'] }],
    ['linspace without a count', { param: ['a=linspace(0,1)'] }],
    ['a number that is none', { param: ['a=linspace(0,one,3)'] }],
    ['broken JSON', { param: ['a=[1,'] }],
    ['a step of what is drawn', { param: ['a=0:1:0.1'], random: '3' }],
    ['two ways at once', { param: ['a=1'], zip: true, random: '3' }],
    ['a file that is not there', { sweep: 'nowhere.json' }],
    ['rows of another kind', { rows: 'rows.xls' }],
    ['a sweep that is no object', { sweep: 'list.json' }],
  ])('%s is E_USAGE', async (_what, flags) => {
    writeFileSync(join(folder, 'list.json'), '[1]')
    expect(() => parseSweep(flags, folder)).toThrow(expect.objectContaining({ code: 'E_USAGE' }))
  })
})

test('a policy on a command line', () => {
  expect(parsePolicy({})).toEqual({})
  expect(
    parsePolicy({
      quorum: '2',
      of: '4',
      tolerance: '1e-9',
      time: '5m',
      cpus: '2',
      memory: '1GiB',
      retries: '0',
      priority: '-2',
      seed: '3',
    }),
  ).toEqual({
    verify: { quorum: 2, of: 4 },
    agree: { relative: 1e-9 },
    timeoutMs: 300_000,
    cpus: 2,
    memoryMiB: 1_024,
    retries: 0,
    priority: -2,
    seed: 3,
  })
  expect(parsePolicy({ tolerance: 'rel=1e-6,abs=1e-12' }).agree).toEqual({ relative: 1e-6, absolute: 1e-12 })
  expect(() => parsePolicy({ priority: 'high' })).toThrow(expect.objectContaining({ code: 'E_USAGE' }))
  expect(() => parsePolicy({ of: '3' })).toThrow(expect.objectContaining({ code: 'E_USAGE' }))
  expect(() => parsePolicy({ tolerance: 'close' })).toThrow(expect.objectContaining({ code: 'E_USAGE' }))
})

test('quantities as people type and read them', () => {
  expect(['90', '500ms', '1.5h', '2d'].map(parseDuration)).toEqual([90_000, 500, 5_400_000, 172_800_000])
  expect(['512', '4GiB', '1T'].map(parseMebibytes)).toEqual([512, 4_096, 1_048_576])
  expect(parseCount('1e3')).toBe(1_000)
  for (const wrong of ['', '-1', '1.5', 'x']) expect(() => parseCount(wrong)).toThrow()
  expect([0, 512, 1_536, 2 ** 34].map(bytes)).toEqual(['0 B', '512 B', '1.5 KiB', '16 GiB'])
  expect([0, 999, 1_000, 1_234_567, -12_345, 1_234.5678].map(count).join(' ')).toBe(
    '0 999 1,000 1,234,567 -12,345 1,234.568',
  )
  expect([12, 1_500, 75_000, 3_599_600, 7_199_990, 7_260_000, 172_799_000, 187_200_000].map(duration)).toEqual([
    '12 ms',
    '1.5 s',
    '1 min 15 s',
    '1 h',
    '2 h',
    '2 h 1 min',
    '2 d',
    '2 d 4 h',
  ])
  expect(shortIds(['abcdefgh', 'abcdefxy'])('abcdefgh')).toBe('abcdefg')
  expect(shortPeers(['1xabcdef', '2yabcdef'])('1xabcdef')).toBe('xabcdef')
})

describe('progress', () => {
  const plain = picocolors.createColors(false)
  const running = { ...jobInfo(), state: 'running' as const, units: 200, failed: 0 }

  test('is one line at a terminal, never wider than it, with the time left', async () => {
    let now = 0
    const terminal = capture({ isTerminal: true, columns: 60 })
    const line = new ProgressLine(terminal.sink, { colours: plain, now: () => now })
    await line.update({ ...running, accepted: 0, running: 12 })
    now = 10_000
    await line.update({ ...running, accepted: 100, running: 12 })
    await line.end()
    const frames = terminal.text().split('\r\u001b[K').slice(1)
    expect(frames).toHaveLength(2)
    expect(frames.every((frame) => frame.trimEnd().length < 60)).toBe(true)
    const wide = capture({ isTerminal: true, columns: 200 })
    const again = new ProgressLine(wide.sink, { colours: plain, now: () => now })
    await again.update({ ...running, accepted: 0 })
    now = 20_000
    await again.update({
      ...running,
      accepted: 142,
      running: 12,
      waiting: [{ reason: 'comparing', units: 6, sinceMs: 0 }],
    })
    expect(wide.text()).toContain('██████████████░░░░░░  71%  done 142 running 12 verifying 6 failed 0  ETA 4.1 s')
  })

  test('is a line now and then elsewhere, and says why nothing runs', async () => {
    let now = 0
    const log = capture()
    const line = new ProgressLine(log.sink, { colours: plain, now: () => now })
    for (; now < 12_000; now += 200) {
      await line.update({
        ...running,
        accepted: 0,
        running: 0,
        waiting: [{ reason: 'no-peer', units: 200, sinceMs: 0 }],
      })
    }
    await line.end()
    const lines = log.text().trimEnd().split('\n')
    expect(lines).toHaveLength(3)
    expect(lines[0]).toContain('waiting: no peer that offers cores is connected')
  })
})
