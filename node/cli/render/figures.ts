/** Numbers, sizes, durations and ids as a person reads them. */

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

export function bytes(value: number): string {
  const power = value < 1 ? 0 : Math.min(SIZES.length - 1, Math.floor(Math.log2(value) / 10))
  const scaled = value / 1024 ** power
  return `${scaled >= 10 || power === 0 ? Math.round(scaled) : scaled.toFixed(1).replace(/\.0$/, '')} ${SIZES[power]}`
}

export function duration(ms: number): string {
  const seconds = ms / 1_000
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return twoParts(minutes, 'min', Math.floor(seconds % 60), 's')
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return twoParts(hours, 'h', minutes % 60, 'min')
  return twoParts(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

const twoParts = (whole: number, unit: string, rest: number, smaller: string): string =>
  rest === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${rest} ${smaller}`

export const count = (value: number): string => value.toLocaleString('en-US')

export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`

const PREFIX_MIN = 6
const SUFFIX_MIN = 6

/** Job ids cut to their first characters, as few as tell them apart. */
export function shortIds(ids: readonly string[]): (id: string) => string {
  const length = distinctLength(ids, PREFIX_MIN, (id, size) => id.slice(0, size))
  return (id) => id.slice(0, length)
}

/** Peer ids cut to their last characters, as few as tell them apart: all begin alike. */
export function shortPeers(ids: readonly string[]): (id: string) => string {
  const length = distinctLength(ids, SUFFIX_MIN, (id, size) => id.slice(-size))
  return (id) => id.slice(-length)
}

function distinctLength(ids: readonly string[], least: number, cut: (id: string, size: number) => string): number {
  const all = new Set(ids)
  const longest = Math.max(least, ...ids.map((id) => id.length))
  for (let size = least; size < longest; size += 1) {
    if (new Set([...all].map((id) => cut(id, size))).size === all.size) return size
  }
  return longest
}
