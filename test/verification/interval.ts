/** The 95% interval of a share by Wilson's score: honest also where nothing at all was seen. */
export function interval(hits: number, of: number): { low: number; high: number } {
  if (of === 0) return { low: 0, high: 1 }
  const z = 1.959964
  const share = hits / of
  const centre = share + z ** 2 / (2 * of)
  const half = z * Math.sqrt((share * (1 - share)) / of + z ** 2 / (4 * of ** 2))
  const scale = 1 + z ** 2 / of
  return { low: hits === 0 ? 0 : (centre - half) / scale, high: (centre + half) / scale }
}
