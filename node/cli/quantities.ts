/** Durations, sizes and numbers as people type them. */

import { TalkootError } from '../../protocol/errors.ts'

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const
const UNIT_MIB = { MiB: 1, M: 1, MB: 1, GiB: 1_024, G: 1_024, GB: 1_024, TiB: 1_048_576, T: 1_048_576 } as const

/** `90`, `90s`, `500ms`, `5m`, `2h`, `1d`, in milliseconds; a bare number is seconds. @throws E_USAGE */
export const parseDuration = (text: string): number => scaled(text, UNIT_MS, UNIT_MS.s, 'a duration: 30s, 5m, 2h')

/** `512`, `512MiB`, `4GiB`, in MiB; a bare number is MiB. @throws E_USAGE */
export const parseMebibytes = (text: string): number => scaled(text, UNIT_MIB, UNIT_MIB.MiB, 'a size: 512MiB, 4GiB')

/** @throws E_USAGE */
export function parseCount(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0) throw notA(text, 'a whole number')
  return value
}

/** A whole number, also below zero. @throws E_USAGE */
export function parseStep(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value)) throw notA(text, 'a whole number')
  return value
}

function scaled(text: string, units: Readonly<Record<string, number>>, bare: number, what: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim())
  const factor = match?.[2] === '' ? bare : units[match?.[2] ?? '']
  if (match === null || factor === undefined) throw notA(text, what)
  return Math.round(Number(match[1]) * factor)
}

const notA = (text: string, what: string): TalkootError => new TalkootError('E_USAGE', `"${text}" is not ${what}`)
