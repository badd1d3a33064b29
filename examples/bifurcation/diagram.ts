/** One dot for every value visited at every r. */

const WIDTH = 900
const HEIGHT = 500
const MARGIN = 40

export function diagram(
  columns: readonly { r: number; visited: readonly number[] }[],
  [from, to]: readonly [number, number],
): string {
  const across = (r: number): number => MARGIN + ((r - from) / (to - from)) * (WIDTH - 2 * MARGIN)
  const down = (x: number): number => HEIGHT - MARGIN - x * (HEIGHT - 2 * MARGIN)
  const dots = columns.flatMap(({ r, visited }) =>
    visited.map((x) => `M${across(r).toFixed(1)} ${down(x).toFixed(1)}h1`),
  )
  const ticks = [from, 3, 3.4495, 3.5699, to].map(
    (r) => `<text x="${across(r).toFixed(1)}" y="${HEIGHT - MARGIN / 2}" text-anchor="middle">${r}</text>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui" font-size="12">
<title>Where the logistic map ends up</title>
<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>
<path d="${dots.join('')}" stroke="#234" stroke-opacity="0.5" stroke-width="1"/>
${ticks.join('\n')}
<text x="${WIDTH / 2}" y="20" text-anchor="middle">x → r x (1 − x): the values visited, against r</text>
</svg>
`
}
