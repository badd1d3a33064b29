import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { compileSweep } from '../../protocol/sweep/generator.ts'
import type { Entry } from '../../protocol/sweep/pointset.ts'
import { parseRows } from '../../protocol/sweep/rows.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const rows = (text: string, format: 'csv' | 'jsonl' = 'csv'): object[] => {
  const { size, write } = parseRows(bytes(text), format, 'rows')
  return Array.from({ length: size }, (_, i) => {
    const entries: Entry[] = []
    write(i, entries)
    return Object.fromEntries(entries)
  })
}

describe('CSV', () => {
  it.each<[string, unknown]>([
    ['1', 1],
    ['-1.50', -1.5],
    ['+2', 2],
    ['.5', 0.5],
    ['3.', 3],
    ['1e-3', 0.001],
    ['-0', 0],
    ['0.1', 0.1],
    ['1e300', 1e300],
    ['1e999', '1e999'],
    ['007', '007'],
    ['12345678901234567890', '12345678901234567890'],
    ['0x10', '0x10'],
    ['1,5', '1,5'],
    ['NaN', 'NaN'],
    ['NA', 'NA'],
    ['Infinity', 'Infinity'],
    ['true', true],
    ['TRUE', 'TRUE'],
    ['', null],
    ['  ', null],
    [' 7 ', 7],
    [' text ', ' text '],
    ['2026-01-31', '2026-01-31'],
  ])('reads the cell "%s" by the rule', (cell, value) => {
    expect(rows(`cell,after\n"${cell}",x\n`)).toEqual([{ cell: value, after: 'x' }])
  })

  it('drops a byte order mark and empty lines, and takes either line end', () => {
    expect(rows('\ufeffa,b\r\n1,"x\ny"\r\n\r\n2,"say ""z"""\r\n')).toEqual([
      { a: 1, b: 'x\ny' },
      { a: 2, b: 'say "z"' },
    ])
  })

  it.each([
    ['a,b\n1,2,3\n', /line 2/],
    ['a,b\n1,"2\n', /is not CSV/],
    ['a,\n1,2\n', /no name for column 2/],
    ['a,a\n1,2\n', /"a" twice/],
    ['a,b\n', /has no rows/],
    ['', /has no rows/],
  ])('%j is refused', (text, message) => {
    expect(() => rows(text)).toThrow(message)
  })
})

describe('JSONL', () => {
  it('reads one object a line', () => {
    expect(rows('{"a":1}\n\n{"a":[null,{"b":"x"}]}', 'jsonl')).toEqual([{ a: 1 }, { a: [null, { b: 'x' }] }])
  })

  it.each([
    ['{"a":1}\n{', /line 2 is not JSON/],
    ['[1]', /line 1 is not an object/],
    ['{"a":1e999}', /a number is too large/],
  ])('%j is refused', (text, message) => {
    expect(() => rows(text, 'jsonl')).toThrow(message)
  })
})

describe('rows of a file', () => {
  const sweep = { kind: 'rows', blob: 'a'.repeat(52), bytes: 8, count: 2, format: 'csv' } as const

  it('are the points of a sweep', () => {
    const compiled = compileSweep({ kind: 'exclude', of: sweep, points: [{ a: 1 }] }, () => bytes('a\n1\n2\n'))
    expect([compiled.size, compiled.point(0)]).toEqual([1, { a: 2 }])
  })

  it('must be at hand, and as many as the manifest says', () => {
    expect(() => compileSweep(sweep)).toThrow('sweep reads rows of a file that is not at hand')
    expect(() => compileSweep(sweep, () => bytes('a\n1\n'))).toThrow('sweep.count is 2, the file has 1 rows')
  })

  it('are bounded in bytes and fields', () => {
    const large = new Uint8Array(LIMITS.SWEEP_ROWS_MAX_BYTES + 1)
    expect(() => parseRows(large, 'csv', 'rows')).toThrow(expect.objectContaining({ code: 'E_SWEEP_TOO_BIG' }))
    const wide = Array.from({ length: LIMITS.SWEEP_AXES_MAX + 1 }, (_, i) => `c${i}`).join()
    expect(() => rows(`${wide}\n${wide}\n`)).toThrow(expect.objectContaining({ code: 'E_SWEEP_TOO_BIG' }))
  })

  it.each([
    ['csv', (text: string) => `a,b\n1,${text}\n2,\n`],
    ['jsonl', (text: string) => `{"a":1,"b":"${text}"}\n{"a":2,"b":null}\n`],
  ] as const)('of %s are bounded one by one', (format, file) => {
    const compile = (length: number) => compileSweep({ ...sweep, format }, () => bytes(file('x'.repeat(length))))
    expect(compile(LIMITS.PARAMS_MAX_BYTES - 100).size).toBe(2)
    expect(() => compile(LIMITS.PARAMS_MAX_BYTES)).toThrow(expect.objectContaining({ code: 'E_SWEEP_TOO_BIG' }))
  })

  it('that are no text are refused', () => {
    expect(() => parseRows(Uint8Array.of(0xff, 0xfe), 'csv', 'rows')).toThrow('rows is not UTF-8')
  })
})
