import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import { pipe } from 'it-pipe'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Result, TalkootError, toCsv, toJsonl, toParquet } from '../../sdk/index.ts'

const accepted = (unit: number, params: unknown, value: unknown): Result<unknown, unknown> => ({
  ...{ unit, params, value, status: 'accepted', peers: ['a', 'b'], attempts: 2 },
})
const failed: Result<unknown, unknown> = {
  ...{ unit: 0, params: { n: 1 }, peers: ['a'], attempts: 4, status: 'failed', blame: 'time' },
  error: new TalkootError('E_TIMEOUT', 'too long'),
}

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'talkoot-sinks-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function* from(...results: Result<unknown, unknown>[]): AsyncGenerator<Result<unknown, unknown>> {
  yield* results
}

describe('toParquet', () => {
  it('gives each column the type of its values, text where they differ, and nulls where there are none', async () => {
    const file = join(folder, 'out.parquet')
    const source = from(
      failed,
      accepted(1, { n: 2, text: 'a "b", ç' }, { fit: { sse: 0.1, ok: true }, mixed: 1, big: 2 ** 40, list: [1, 2] }),
      accepted(2, { n: 3 }, { fit: { sse: 2, ok: false }, mixed: 'x', big: 1, empty: null }),
    )
    await pipe(source, toParquet(file))
    const table = await asyncBufferFromFile(file)
    const types = Object.fromEntries(
      (await parquetMetadataAsync(table)).schema.slice(1).map(({ name, type }) => [name, type]),
    )
    expect(types).toEqual({
      ...{
        unit: 'INT32',
        n: 'INT32',
        text: 'BYTE_ARRAY',
        'fit.sse': 'DOUBLE',
        'fit.ok': 'BOOLEAN',
        mixed: 'BYTE_ARRAY',
      },
      ...{
        big: 'DOUBLE',
        list: 'BYTE_ARRAY',
        empty: 'BYTE_ARRAY',
        status: 'BYTE_ARRAY',
        error: 'BYTE_ARRAY',
        attempts: 'INT32',
      },
    })
    expect(await parquetReadObjects({ file: table })).toMatchObject([
      { unit: 0, n: 1, text: null, 'fit.sse': null, status: 'failed', error: 'E_TIMEOUT', attempts: 4 },
      {
        unit: 1,
        text: 'a "b", ç',
        'fit.sse': 0.1,
        'fit.ok': true,
        mixed: '1',
        big: 2 ** 40,
        list: '[1,2]',
        error: null,
      },
      { unit: 2, n: 3, 'fit.sse': 2, 'fit.ok': false, mixed: 'x', big: 1, empty: null },
    ])
    expect(await readdir(folder)).toEqual(['out.parquet'])
  })

  it('holds any number of rows, and none', async () => {
    const file = join(folder, 'out.parquet')
    const many = 25_000
    await pipe(from(...Array.from({ length: many }, (_, n) => accepted(n, { n }, { half: n / 2 }))), toParquet(file))
    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(file) })
    expect(rows.map(({ n, half }) => [n, half])).toEqual(Array.from({ length: many }, (_, n) => [n, n / 2]))
    await pipe(from(), toParquet(file))
    expect(await parquetReadObjects({ file: await asyncBufferFromFile(file) })).toEqual([])
  })
})

describe('toCsv', () => {
  it('spreads objects, finds every column, and quotes what must be', async () => {
    const file = join(folder, 'out.csv')
    const source = from(
      failed,
      accepted(1, { n: 2, text: 'a "b", c' }, { fit: { sse: 0.1, ok: true }, n: 7, list: [1, 2] }),
      accepted(2, { n: 3, unit: 'm' }, { fit: { sse: 1e-7 }, extra: null }),
      accepted(3, { n: 4 }, 5),
    )
    await pipe(source, toCsv(file))
    const rows: Record<string, string>[] = parse(await readFile(file), { columns: true })
    expect(Object.keys(rows[0] ?? {})).toEqual(
      'unit,n,text,params.unit,fit.sse,fit.ok,value.n,list,extra,value,status,error,attempts'.split(','),
    )
    expect(rows).toMatchObject([
      { unit: '0', n: '1', 'fit.sse': '', status: 'failed', error: 'E_TIMEOUT', attempts: '4' },
      { unit: '1', text: 'a "b", c', 'fit.sse': '0.1', 'fit.ok': 'true', 'value.n': '7', list: '[1,2]', error: '' },
      { unit: '2', n: '3', 'params.unit': 'm', 'fit.sse': '1e-7', extra: '' },
      { unit: '3', value: '5' },
    ])
    expect(await readdir(folder)).toEqual(['out.csv'])
  })

  it('leaves nothing behind when the source fails', async () => {
    const broken = async function* (): AsyncGenerator<Result<unknown, unknown>> {
      yield failed
      throw new Error('cut')
    }
    await expect(pipe(broken(), toCsv(join(folder, 'out.csv')))).rejects.toThrow('cut')
    await expect(pipe(broken(), toJsonl(join(folder, 'out.jsonl')))).rejects.toThrow('cut')
    expect(await readdir(folder)).toEqual([])
  })
})

describe('toJsonl', () => {
  it('writes whole results, one a line', async () => {
    const file = join(folder, 'out.jsonl')
    await pipe(from(failed, accepted(1, { n: 2 }, [1])), toJsonl(file))
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        ...{ unit: 0, params: { n: 1 }, peers: ['a'], attempts: 4, status: 'failed', blame: 'time' },
        error: { code: 'E_TIMEOUT', message: 'too long' },
      },
      { unit: 1, params: { n: 2 }, value: [1], status: 'accepted', peers: ['a', 'b'], attempts: 2 },
    ])
  })
})
