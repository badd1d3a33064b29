/** A peer's standing as it is shown: the same numbers by which its word is judged. */

import { expect, it } from 'vitest'
import { creditOf } from '../../node/jobs/peer-credit.ts'
import { createConfidence } from '../../node/jobs/verification/confidence.ts'
import { ASSUMED } from '../../node/jobs/verification/credit.ts'

const MONTH_MS = ASSUMED.halfLifeMs
const judge = createConfidence({
  goal: 0.999,
  agree: { kind: 'exact' },
  assumed: ASSUMED,
  isChecked: () => false,
}).judge

/** Whether the judge takes the word of such a peer alone. */
function isTaken(trust: 'member' | 'stranger', credit: { checks: number; caught: number }): boolean {
  const said = { ok: true as const, digest: 'd', value: '1' }
  return judge([{ peer: 'p', trust, independence: [], credit, said, vouched: true }], new Map(), 5).kind === 'accepted'
}

it.each(['member', 'stranger'] as const)('says of a %s how many checks the judge still wants of it', (trust) => {
  for (const [checks, caught] of [
    [0, 0],
    [1, 0],
    [50, 0],
    [0, 1],
    [12, 2],
  ] as const) {
    const { checksMissing } = creditOf(trust, { checks, caught, ageMs: 0 })
    if (checksMissing === null) throw new Error('enough checks are always enough')
    expect(isTaken(trust, { checks: checks + checksMissing, caught })).toBe(true)
    if (checksMissing > 0) expect(isTaken(trust, { checks: checks + checksMissing - 1, caught })).toBe(false)
  }
})

it('a stranger needs 92 checks, a member 4, and what was shown fades', () => {
  expect(creditOf('stranger', null)).toMatchObject({ checksMissing: 92, shown: null, bad: 0.2, undecidedMax: 1 })
  expect(creditOf('member', null)).toMatchObject({ checksMissing: 4, admission: 'work' })
  expect(creditOf('self', null)).toMatchObject({ checksMissing: 0 })
  const faded = creditOf('stranger', { checks: 92, caught: 0, ageMs: MONTH_MS })
  expect(faded).toMatchObject({ checks: 46, checksMissing: 46, shown: { checks: 92, agoMs: MONTH_MS } })
})

it('one that was caught rests, then gets canaries, then work', () => {
  expect(creditOf('member', { checks: 0, caught: 1, ageMs: 0 }).admission).toBe('rest')
  expect(creditOf('member', { checks: 0, caught: 1, ageMs: 7_200_000 }).admission).toBe('canary')
  expect(creditOf('member', { checks: 11, caught: 1, ageMs: 0 }).admission).toBe('work')
})
