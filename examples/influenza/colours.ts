/** Viridis (van der Walt and Smith 2015): even steps for the eye, readable in grey and by the colour-blind. */

const VIRIDIS = [
  [68, 1, 84],
  [72, 40, 120],
  [62, 74, 137],
  [49, 104, 142],
  [38, 130, 142],
  [31, 158, 137],
  [53, 183, 121],
  [109, 205, 89],
  [180, 222, 44],
  [253, 231, 37],
] as const

export type Rgb = readonly [red: number, green: number, blue: number]

/** `t` from 0 (dark) to 1 (light). */
export function viridis(t: number): Rgb {
  const place = Math.min(1, Math.max(0, t)) * (VIRIDIS.length - 1)
  const below = VIRIDIS[Math.floor(place)] ?? VIRIDIS[0]
  const above = VIRIDIS[Math.ceil(place)] ?? below
  const part = place - Math.floor(place)
  const mix = (a: number, b: number): number => Math.round(a + (b - a) * part)
  return [mix(below[0], above[0]), mix(below[1], above[1]), mix(below[2], above[2])]
}

export const hex = (rgb: Rgb): string => `#${rgb.map((part) => part.toString(16).padStart(2, '0')).join('')}`
