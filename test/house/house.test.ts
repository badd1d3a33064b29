/** The rules of the house, as a test: floors of imports, sizes, nothing dead, nothing skipped, nothing undocumented. */

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ERRORS } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { REASONS } from '../../protocol/reasons.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const FILE_LINES_MAX = 400

/** Each floor with those it may import from, itself included by rule. Anything not listed is above all of them. */
const FLOORS: Record<string, string[]> = {
  protocol: [],
  'node/files': ['protocol'],
  'node/store': ['protocol', 'node/files'],
  'node/mesh': ['protocol'],
  'node/runtimes': ['protocol', 'node/files'],
  'node/worker': ['protocol', 'node/files', 'node/store', 'node/mesh', 'node/runtimes'],
  'node/jobs': ['protocol', 'node/store', 'node/mesh', 'node/runtimes', 'node/worker'],
  'node/api': ['protocol', 'node/store', 'node/mesh', 'node/runtimes', 'node/worker', 'node/jobs'],
  node: ['protocol', 'node/store', 'node/mesh', 'node/runtimes', 'node/worker', 'node/jobs', 'node/api'],
  sdk: ['protocol', 'node', 'node/files'],
  examples: ['protocol', 'sdk'],
  'node/cli': [
    'protocol',
    'node',
    'node/api',
    'node/files',
    'node/jobs',
    'node/mesh',
    'node/store',
    'node/runtimes',
    'sdk',
    'examples',
  ],
}

/** What the program is: all that is reached from where it starts, and from what scientists import. */
const PROGRAM = /^(node|sdk|protocol)\//
const STARTS = /^node\/cli\/main\.ts$|^sdk\/index\.ts$|harness\/(main|make-snapshot)\.ts$/

/** An attacker inside the sandbox sleeps there; this file names what it looks for. */
const MAY_SLEEP = new Set(['test/runtimes/attacks-machine.test.ts', 'test/house/house.test.ts'])

const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(ROOT, file)))
const sources = tracked.filter((file) => file.endsWith('.ts'))
const textOf = (file: string) => readFileSync(join(ROOT, file), 'utf8')

const IMPORT = /(?:from|import)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]|new URL\(\s*['"](\.{1,2}\/[^'"]+)['"]/g
function importsOf(file: string): string[] {
  return [...textOf(file).matchAll(IMPORT)].map((match) =>
    relative(ROOT, resolve(ROOT, dirname(file), match[1] ?? match[2] ?? '')),
  )
}

/** The most particular floor a file is on. */
function floorOf(file: string): string | undefined {
  return Object.keys(FLOORS)
    .filter((floor) => file.startsWith(`${floor}/`))
    .sort((a, b) => b.length - a.length)[0]
}

describe('the house', () => {
  it('imports only from the same floor or those below', () => {
    const wrong = sources.flatMap((file) => {
      const floor = floorOf(file)
      if (floor === undefined) return []
      return importsOf(file)
        .filter((target) => {
          const other = floorOf(target)
          return other !== undefined && other !== floor && !FLOORS[floor]?.includes(other)
        })
        .map((target) => `${file} imports ${target}`)
    })
    expect(wrong).toEqual([])
  })

  it('has no file so long that it holds more than one idea', () => {
    const long = sources.filter((file) => textOf(file).split('\n').length > FILE_LINES_MAX)
    expect(long).toEqual([])
  })

  it('has no folder or file named for nothing', () => {
    expect(tracked.filter((file) => /(^|\/)(utils?|helpers?|common|misc)(\.|\/|$)/.test(file))).toEqual([])
  })

  it('has no source file that the program does not reach: what is for tests only is among them', () => {
    const known = new Set(sources)
    const reached = new Set(sources.filter((file) => STARTS.test(file)))
    for (const file of reached) for (const next of importsOf(file)) if (known.has(next)) reached.add(next)
    expect(sources.filter((file) => PROGRAM.test(file) && !reached.has(file))).toEqual([])
  })

  it('has no test that is skipped, alone or sleeping', () => {
    const pattern = /\b(it|test|describe)\.(only|skip|todo|fails)\b|\bsetTimeout\(\s*(r|resolve|done)\s*,/
    const found = sources
      .filter((file) => file.endsWith('.test.ts') && !MAY_SLEEP.has(file))
      .filter((file) => pattern.test(textOf(file)))
    expect(found).toEqual([])
  })

  it('has nothing unfinished, and names no machine', () => {
    const pattern = new RegExp(
      ['TO' + 'DO', 'FIX' + 'ME', '@ts-' + 'ignore', '/wo' + 'rk/(main|shared)', 'registry\\.' + 'npmjs'].join('|'),
    )
    const found = tracked
      .filter((file) => /\.(ts|js|md|json|sh)$/.test(file))
      .filter((file) => pattern.test(textOf(file)))
    expect(found).toEqual([])
  })

  it('documents every limit with its value, and no limit that is not there', () => {
    const rows = [...textOf('docs/limits.md').matchAll(/^\| `([A-Z0-9_]+)` \| ([^|]+) \|/gm)]
    const documented = Object.fromEntries(rows.map(([, name, value]) => [name, value]))
    expect(documented).toEqual(Object.fromEntries(Object.entries(LIMITS).map((limit) => [limit[0], inWords(...limit)])))
  })

  it('documents every reason to wait in the words of the program, in its order, and no other', () => {
    const rows = [...textOf('docs/reasons.md').matchAll(/^\| `([a-z-]+)` \| (.+) \| ([a-z]+) \| (.+) \|$/gm)]
    const documented = rows.map(([, code, says, mover, hint]) => ({ code, says, mover, hint }))
    expect(documented).toEqual(Object.entries(REASONS).map(([code, reason]) => ({ code, ...reason })))
  })

  it('uses every limit and every error code', () => {
    const code = sources
      .filter((file) => !/^protocol\/(limits|errors)\.ts$/.test(file))
      .map(textOf)
      .join('\n')
    const names = [...Object.keys(LIMITS).map((name) => `LIMITS.${name}`), ...Object.keys(ERRORS)]
    expect(names.filter((name) => !new RegExp(`${name.replace('.', '\\.')}\\b`).test(code))).toEqual([])
  })

  it('says of every dependency why it is here, and pins it', () => {
    const page = textOf('docs/dependencies.md')
    const { dependencies, devDependencies } = JSON.parse(textOf('package.json'))
    const all: [string, string][] = Object.entries({ ...dependencies, ...devDependencies })
    const family = (name: string) => name.replace(/^(@stdlib\/math-base-special-).*/, '$1*')
    expect(all.filter(([name]) => !page.includes(`\`${family(name)}\``))).toEqual([])
    expect(all.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
  })

  it('uses every dependency', () => {
    const code = tracked
      .filter((file) => /\.(ts|js)$/.test(file))
      .map(textOf)
      .join('\n')
    const { dependencies } = JSON.parse(textOf('package.json'))
    const unused = Object.keys(dependencies).filter((name) => !code.includes(`'${name}`))
    expect(unused).toEqual([])
  })
})

const BYTES: [string, number][] = [
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
  ['bytes', 1],
]
const TIMES: [string, number][] = [
  ['days', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
  ['ms', 1],
]

/** A limit as the page writes it: in the largest unit that leaves it whole; one day is 24 h. */
function inWords(name: string, value: number): string {
  const say = (count: number, unit: string) => `${count.toLocaleString('en-US')} ${unit}`.trim()
  if (name.endsWith('_MIB')) return say(value, 'MiB')
  const units = name.endsWith('_BYTES') ? BYTES : name.endsWith('_MS') ? TIMES : []
  const [unit, size] = units.find(([unit, size]) => value % size === 0 && (unit !== 'days' || value > size)) ?? ['', 1]
  return say(value / size, unit)
}
