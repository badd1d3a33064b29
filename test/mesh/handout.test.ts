/** What a holder of all chooses for honest askers, whatever others say. Bounds of spreading are in test/sim/tree-spread.test.ts. */

import { expect, test } from 'vitest'
import { Bitmap } from '../../node/mesh/trees/bitmap.ts'
import { Handout } from '../../node/mesh/trees/handout.ts'
import { LIMITS } from '../../protocol/limits.ts'

const CHUNKS = 16
const PATIENCE_MS = LIMITS.TREE_PATIENCE_MS
const ALL = Array.from({ length: CHUNKS }, (_, chunk) => chunk)

const handoutOf = (chunks: number) => new Handout(chunks, { random: () => 0.5, patienceMs: PATIENCE_MS })

test('an asker that loses and takes everything again and again keeps no chunk from the others', () => {
  const handout = handoutOf(CHUNKS)
  handout.join('hostile', Bitmap.all(CHUNKS), 1)
  handout.join('honest', new Bitmap(CHUNKS), 1)
  let got = 0
  let againMs = 0
  for (let nowMs = 1; nowMs < 2 * PATIENCE_MS; nowMs += 100) {
    if (nowMs > againMs) {
      for (const chunk of ALL) handout.lost('hostile', chunk)
      for (const chunk of ALL) handout.taken('hostile', chunk, nowMs)
      againMs = nowMs + PATIENCE_MS - 100
    }
    const choice = handout.choose('honest', nowMs)
    if (choice === null || !('chunk' in choice)) continue
    handout.given(choice.chunk, nowMs, 1)
    got += 1
  }
  expect(got).toBe(CHUNKS)
})

test('an asker that nothing was chosen for waits no longer than some patiences, however young the chunks are', () => {
  const handout = handoutOf(1)
  handout.join('slow', new Bitmap(1), 0)
  expect(handout.choose('slow', 0)).toEqual({ chunk: 0 })
  handout.join('honest', new Bitmap(1), 0)
  expect(handout.choose('honest', 4 * PATIENCE_MS)).toHaveProperty('waitMs')
  expect(handout.choose('honest', 4 * PATIENCE_MS + 1)).toEqual({ chunk: 0 })
})
