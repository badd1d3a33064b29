/** Chosen units of a sweep, against the plain list of them. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { chosenOf, runsOf, unitRunsSchema } from '../../protocol/sweep/chosen.ts'
import { type CompiledSweep, checkUnit, compileSweep } from '../../protocol/sweep/generator.ts'

const SIZE = 60
const sweep = compileSweep({ kind: 'product', axes: [['n', { kind: 'range', from: 0, to: SIZE, step: 1 }]] })

describe('chosen units', () => {
  it('are those that were named, under their numbers, and no others', () => {
    const some = fc.uniqueArray(fc.nat(SIZE - 1), { minLength: 1 }).map((units) => units.sort((a, b) => a - b))
    fc.assert(
      fc.property(some, (units) => {
        const chosen = chosenOf(sweep, unitRunsSchema.parse(runsOf(units)))
        expect([...unitsOf(chosen)]).toEqual(units)
        expect(chosen.count).toBe(units.length)
        for (let unit = 0; unit < SIZE; unit++) {
          const check = () => checkUnit(chosen, unit)
          if (units.includes(unit)) expect(check).not.toThrow()
          else expect(check).toThrow(/there is no unit/)
        }
      }),
    )
  })

  it('are one run where they follow on one another, and refused beyond the bound', () => {
    expect(runsOf([7])).toEqual([7, 1])
    expect(runsOf([0, 1, 2, 9, 10])).toEqual([0, 3, 6, 2])
    const scattered = Array.from({ length: LIMITS.UNIT_RUNS_MAX + 1 }, (_, i) => 2 * i)
    expect(unitRunsSchema.safeParse(runsOf(scattered.slice(1))).success).toBe(true)
    expect(unitRunsSchema.safeParse(runsOf(scattered)).success).toBe(false)
  })

  it.each([
    ['beyond the sweep', [SIZE - 1, 2]],
    ['of no units', [3, 0]],
    ['not in their shortest form', [3, 1, 0, 1]],
    ['cut off', [3]],
  ])('that are %s are refused', (_what, runs) => {
    expect(() => chosenOf(sweep, runs)).toThrow(expect.objectContaining({ code: 'E_SWEEP_INVALID' }))
  })
})

function* unitsOf({ next, size }: CompiledSweep): Iterable<number> {
  for (let unit = next(-1); unit < size; unit = next(unit)) yield unit
}
