import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { type Job, type Json, type Mesh, type TalkootError, taskAt } from '../../sdk/index.ts'
import * as s from '../../sdk/sweep.ts'
import { defineTask, type Task } from '../../sdk/task.ts'
import square from './tasks/square.task.ts'

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
describe('types of results', () => {
  type Pi = typeof import('../../examples/pi/pi.task.ts')
  const at = new URL('./tasks/plain.task.ts', import.meta.url)
  const never = (): never => {
    throw new Error('for the compiler only')
  }
  const mesh = { map: never } as Pick<Mesh, 'map'>
  const typesOnly = (_: () => unknown): void => undefined

  it('come from the task', () => {
    typesOnly(async () => {
      const squares = await mesh.map(square, s.grid({ n: s.range(3) }))
      expectTypeOf(squares).toEqualTypeOf<Job<{ n: number }, { square: number }>>()
      for await (const result of squares) {
        expectTypeOf(result.value).toEqualTypeOf<{ square: number } | undefined>()
        if (result.status === 'accepted') expectTypeOf(result.value.square).toEqualTypeOf<number>()
        else expectTypeOf(result.error).toEqualTypeOf<TalkootError>()
      }
      expectTypeOf((await squares.collect())[0]?.params.n).toEqualTypeOf<number | undefined>()

      const pi = await mesh.map(taskAt<Pi>(at), s.grid({ batch: s.range(3), n: [1] }))
      expectTypeOf(pi).toEqualTypeOf<Job<{ n: number; batch: number }, { inside: number }>>()
      expectTypeOf(await mesh.map(square, s.csv('rows.csv'))).toEqualTypeOf<typeof squares>()
      for await (const result of squares) {
        expectTypeOf(squares.writeFiles(result, 'folder')).toEqualTypeOf<Promise<void>>()
        // @ts-expect-error a result of another job
        pi.writeFiles(result, 'folder')
      }
      expectTypeOf(squares.toFolder).parameter(0).toEqualTypeOf<string>()
      expectTypeOf(await mesh.map(at, s.grid({ a: [1, 2] }))).toEqualTypeOf<Job<{ readonly a: 1 | 2 }, Json>>()
    })
  })

  it('refuse a sweep that does not fit', () => {
    typesOnly(() => [
      // @ts-expect-error the task takes n
      mesh.map(square, s.grid({ m: s.range(3) })),
      // @ts-expect-error n is a number
      mesh.map(square, s.grid({ n: ['one'] })),
      // @ts-expect-error a batch is missing
      mesh.map(taskAt<Pi>(at), s.grid({ n: [1] })),
    ])
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
