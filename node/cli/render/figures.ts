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
  if (Math.round(seconds) < 3_600) return twoParts(seconds, 60, 'min', 's')
  const minutes = seconds / 60
  if (Math.round(minutes) < 48 * 60) return twoParts(minutes, 60, 'h', 'min')
  return twoParts(minutes / 60, 24, 'd', 'h')
}

function twoParts(value: number, of: number, unit: string, smaller: string): string {
  const rounded = Math.round(value)
  const rest = rounded % of
  const whole = `${Math.floor(rounded / of)} ${unit}`
  return rest === 0 ? whole : `${whole} ${rest} ${smaller}`
}

/** Thousands apart; three decimals at most. Without `Intl`, whose tables take 5 MB of a node that runs for weeks. */
export const count = (value: number): string => {
  const [whole = '', decimals] = String(Number(value.toFixed(3))).split('.')
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',')
  return decimals === undefined ? grouped : `${grouped}.${decimals}`
}

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
