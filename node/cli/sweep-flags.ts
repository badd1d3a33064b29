/** Sweeps as they are written on a command line. */

import { readFileSync } from 'node:fs'
import { extname, resolve } from 'node:path'
import { z } from 'zod'
import type { Json } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { sweepSchema } from '../../protocol/sweep/schema.ts'
import * as sweeps from '../../sdk/sweep.ts'
import { parseCount } from './quantities.ts'

export type SweepFlags = {
  param?: string[]
  sweep?: string
  rows?: string
  zip?: boolean
  random?: string
  latin?: string
  seed?: string
}

type Point = Record<string, Json>
type AnySweep = sweeps.Sweep<Point>
type Values = sweeps.Values<Json>

/**
 * `once`: without any flag it is a single point without parameters. Axes (--param, --sweep) are combined by product, by zip, or drawn; with the rows of a file by product.
 * @throws E_USAGE, E_SWEEP_INVALID
 */
export function parseSweep(flags: SweepFlags, cwd: string, { once = false } = {}): AnySweep {
  const parts: AnySweep[] = []
  const given = flags.sweep === undefined ? {} : readSweep(flags.sweep, cwd)
  if (isData(given)) parts.push(ofData(given))
  const axes = { ...(isData(given) ? {} : given), ...namedAxes(flags.param ?? []) }
  if (flags.rows !== undefined) parts.push(rowsOf(resolve(cwd, flags.rows)))
  if (Object.keys(axes).length > 0) parts.push(combined(axes, flags))
  const [only] = parts
  if (only === undefined && once) return sweeps.points([{}])
  if (only === undefined) {
    throw new TalkootError('E_USAGE', 'what to sweep over? give --param name=values, --rows FILE or --sweep FILE')
  }
  return parts.length === 1 ? only : sweeps.cross(...parts)
}

function combined(axes: Record<string, unknown>, { zip, random, latin, seed }: SweepFlags): AnySweep {
  if ([zip, random, latin].filter(Boolean).length > 1) {
    throw new TalkootError('E_USAGE', 'choose one of --zip, --random and --latin')
  }
  const drawn = random ?? latin
  if (drawn === undefined) {
    const values = mapped(axes, parseValues)
    return zip ? sweeps.zip(values) : sweeps.grid(values)
  }
  const draw = random === undefined ? sweeps.latin : sweeps.random
  return draw(parseCount(drawn), mapped(axes, parseDraw), seed === undefined ? {} : { seed: parseCount(seed) })
}

const mapped = <T>(axes: Record<string, unknown>, parse: (name: string, spec: unknown) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(axes).map(([name, spec]) => [name, parse(name, spec)]))

function namedAxes(params: readonly string[]): Record<string, string> {
  const axes: Record<string, string> = {}
  for (const param of params) {
    const at = param.indexOf('=')
    if (at < 1) throw new TalkootError('E_USAGE', `--param is name=values, not "${param}"`)
    const name = param.slice(0, at)
    if (Object.hasOwn(axes, name)) throw new TalkootError('E_USAGE', `--param ${name} is given twice`)
    axes[name] = param.slice(at + 1)
  }
  return axes
}

/** `from:to[:step]` without `to`, `linspace(from,to,count)`, `logspace(...)`, a JSON array, or values with commas. */
function parseValues(name: string, spec: unknown): Values {
  if (Array.isArray(spec)) return sweeps.list(...(spec as Json[]))
  if (typeof spec !== 'string') return sweeps.list(spec as Json)
  const call = callOf(spec)
  if (call !== null) {
    const [from = 0, to = 0, third] = call.args.map((arg) => numberOf(arg, name))
    if (call.name === 'range' && call.args.length <= 3) return sweeps.range(from, to, third)
    if (third !== undefined && call.args.length === 3) {
      if (call.name === 'linspace') return sweeps.linspace(from, to, third)
      if (call.name === 'logspace') return sweeps.logspace(from, to, third)
    }
    throw new TalkootError(
      'E_USAGE',
      `--param ${name}: ${spec} is none of range(from,to[,step]), linspace(from,to,count), logspace(from,to,count)`,
    )
  }
  const range = rangeOf(spec)
  if (range === null) return sweeps.list(...listOf(spec, name))
  const [from, to, step] = range
  return sweeps.range(from, to, step)
}

/** `uniform(from,to)` or `from:to`, `loguniform(from,to)`, `integer(from,to)`, or values to choose from. */
function parseDraw(name: string, spec: unknown): sweeps.Drawn<Json> {
  if (Array.isArray(spec)) return sweeps.choice(...(spec as Json[]))
  if (typeof spec !== 'string') return sweeps.choice(spec as Json)
  const call = callOf(spec)
  if (call !== null) {
    const [from = 0, to = 0] = call.args.map((arg) => numberOf(arg, name))
    if (call.args.length === 2 && call.name === 'uniform') return sweeps.uniform(from, to)
    if (call.args.length === 2 && call.name === 'loguniform') return sweeps.loguniform(from, to)
    if (call.args.length === 2 && call.name === 'integer') return sweeps.integer(from, to)
    throw new TalkootError(
      'E_USAGE',
      `--param ${name}: ${spec} is none of uniform(from,to), loguniform(from,to), integer(from,to)`,
    )
  }
  const range = rangeOf(spec)
  if (range === null) return sweeps.choice(...listOf(spec, name))
  if (range.length === 3) throw new TalkootError('E_USAGE', `--param ${name}: what is drawn has no step`)
  return sweeps.uniform(range[0], range[1])
}

function callOf(spec: string): { name: string; args: string[] } | null {
  const match = /^([a-z]+)\((.*)\)$/.exec(spec.trim())
  return match === null ? null : { name: match[1] ?? '', args: (match[2] ?? '').split(',') }
}

function rangeOf(spec: string): [number, number] | [number, number, number] | null {
  const parts = spec.split(':').map((part) => (part.trim() === '' ? Number.NaN : Number(part)))
  const [from, to, step] = parts
  if (parts.length < 2 || parts.length > 3 || parts.some(Number.isNaN)) return null
  if (from === undefined || to === undefined) return null
  return step === undefined ? [from, to] : [from, to, step]
}

function listOf(spec: string, name: string): Json[] {
  if (!spec.trimStart().startsWith('[')) return spec.split(',').map(cellOf)
  const parsed = z.array(z.json()).safeParse(parseJson(spec, `--param ${name}`))
  if (!parsed.success) throw new TalkootError('E_USAGE', `--param ${name} is not a JSON array`)
  return parsed.data
}

/** A number, true, false or null where it reads as one; else text. */
function cellOf(text: string): Json {
  const trimmed = text.trim()
  if (trimmed === 'true' || trimmed === 'false') return trimmed === 'true'
  if (trimmed === 'null') return null
  const value = Number(trimmed)
  return trimmed !== '' && Number.isFinite(value) ? value : trimmed
}

function numberOf(text: string, name: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (!Number.isFinite(value)) throw new TalkootError('E_USAGE', `--param ${name}: "${text}" is not a number`)
  return value
}

function rowsOf(file: string): AnySweep {
  const kind = extname(file).toLowerCase()
  if (kind === '.csv') return sweeps.csv<Point>(file)
  if (kind === '.jsonl' || kind === '.ndjson') return sweeps.jsonl<Point>(file)
  throw new TalkootError('E_USAGE', `--rows takes a .csv or .jsonl file, not ${file}`)
}

/** JSON text, or the name of a file with some: axes by name, or a whole sweep as a manifest holds it. */
function readSweep(text: string, cwd: string): Record<string, unknown> {
  const inline = text.trimStart().startsWith('{')
  const parsed = z
    .record(z.string(), z.unknown())
    .safeParse(parseJson(inline ? text : readText(resolve(cwd, text)), '--sweep'))
  if (!parsed.success) throw new TalkootError('E_USAGE', '--sweep is not a JSON object')
  return parsed.data
}

const isData = (sweep: Record<string, unknown>): boolean =>
  typeof sweep.kind === 'string' && sweepSchema.safeParse(sweep).success

const ofData = (data: Record<string, unknown>): AnySweep => ({ toData: async () => sweepSchema.parse(data) })

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new TalkootError('E_USAGE', `cannot read ${file}`, { cause })
  }
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new TalkootError('E_USAGE', `${what} is not JSON: ${cause instanceof Error ? cause.message : ''}`, { cause })
  }
}
