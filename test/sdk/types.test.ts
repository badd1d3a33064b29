import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import * as s from '../../sdk/sweep.ts'
import { defineTask, type Task } from '../../sdk/task.ts'

describe('types of sweeps', () => {
  it('are those of their points', () => {
    expectTypeOf(s.grid({ seed: s.range(3), n: [1e7], model: ['a', 'b'] })).toEqualTypeOf<
      s.Sweep<{ readonly seed: number; readonly n: 1e7; readonly model: 'a' | 'b' }>
    >()
    expectTypeOf(s.cross(s.grid({ a: s.range(3) }), s.random(3, { b: s.uniform(0, 1) }))).toExtend<
      s.Sweep<{ a: number; b: number }>
    >()
    // @ts-expect-error no such field
    s.exclude(s.grid({ a: s.range(3) }), { b: 1 })
  })
})
describe('types of tasks', () => {
  it('are those of run, or of the schemas', () => {
    expectTypeOf(defineTask({ run: ({ n }: { n: number }) => [n] })).toEqualTypeOf<Task<{ n: number }, number[]>>()
    expectTypeOf(
      defineTask({
        input: z.object({ n: z.number(), m: z.number().default(1) }),
        output: z.object({ sum: z.number() }),
        agree: (a, b) => a.sum === b.sum,
        run: async ({ n, m }) => ({ sum: n + m }),
      }),
    ).toEqualTypeOf<Task<{ n: number; m?: number | undefined }, { sum: number }>>()
  })
})
