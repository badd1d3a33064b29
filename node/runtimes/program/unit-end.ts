/** What the end of a unit's process comes to: its value or failure, and what is told beside it. */

import { constants } from 'node:os'
import { canonicalJson } from '../../../protocol/canonical.ts'
import type { TreeRef } from '../../../protocol/data/tree.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import { SIGNAL_EXIT_BASE } from '../exit-codes.ts'
import type { SandboxInit, UnitReport } from '../runtime.ts'
import { UNIT_HOST, UNIT_USER } from './surroundings.ts'
import type { UnitEnd } from './unit-process.ts'

/** `program`: the file that was started, if it is known. */
export function reportOf(unit: number, end: UnitEnd, program: string | null): UnitReport {
  const { refused, code, signal, stderr, cpuMs, peakMiB } = end
  const exit = refused === undefined ? { code, signal: signal ?? signalOf(code ?? 0) } : null
  const stdout = end.stdout.toString('utf8')
  const wallMs = Math.round(end.wallMs)
  const { began, readBytes, writtenBytes } = end
  const times = { began: began.toISOString(), ended: new Date(began.getTime() + end.wallMs).toISOString() }
  const process = { ...times, readBytes, writtenBytes, host: UNIT_HOST, user: UNIT_USER, program }
  const used = { wallMs, cpuMs, peakMiB: peakMiB && Math.ceil(peakMiB) }
  return { unit, exit, stdout, stderr, ...used, process }
}

/** @throws the failure it is, coded */
export function resultOf(end: UnitEnd, { timeoutMs, memoryMiB }: SandboxInit, files: TreeRef | null): string {
  if (end.refused !== undefined) throw new TalkootError('E_RUNTIME_MISSING', end.refused)
  if (end.killed === 'timeout') throw new TalkootError('E_TIMEOUT', `still running after ${timeoutMs} ms`)
  if (end.killed === 'memory') throw new TalkootError('E_MEMORY', `its processes used more than ${memoryMiB} MiB`)
  if (end.killed === 'output') throw tooLong()
  if (end.uncollected !== undefined) throw end.uncollected
  if (end.code !== 0) {
    const how = end.signal === null ? exitText(end.code ?? 0) : `ended by ${end.signal}`
    // The last errors are what tells.
    const room = LIMITS.UNIT_ERROR_MAX_CHARS - how.length - 1
    throw new TalkootError('E_EXIT', `${how}\n${end.stderr.trimEnd().slice(-room)}`.trimEnd())
  }
  const stdout = textOf(end.stdout).replace(/\r?\n$/, '')
  const value = canonicalJson(files === null ? { stdout } : { stdout, files })
  if (Buffer.byteLength(value) > LIMITS.UNIT_RESULT_MAX_BYTES) throw tooLong()
  return value
}

const tooLong = (): TalkootError =>
  new TalkootError(
    'E_RESULT_TOO_BIG',
    `it wrote more than ${LIMITS.UNIT_RESULT_MAX_BYTES} bytes, or far too many to stderr`,
  )

function signalOf(code: number): string | null {
  return Object.entries(constants.signals).find(([, number]) => number === code - SIGNAL_EXIT_BASE)?.[0] ?? null
}

function exitText(code: number): string {
  const signal = signalOf(code)
  return signal === null ? `exit code ${code}` : `exit code ${code} (${signal})`
}

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new TalkootError('E_RESULT_TYPE', 'what it wrote is not UTF-8 text', { cause })
  }
}
