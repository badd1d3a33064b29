import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { pipe } from 'it-pipe'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Result, TalkootError, toCsv, toJsonl } from '../../sdk/index.ts'

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
