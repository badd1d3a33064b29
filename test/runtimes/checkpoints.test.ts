/** What js units save: refused by what it is alone, bounded in bytes and in number, never of another unit, and no more time for it. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { DEADLINE_MS, ok } from './attempts.ts'
import { Laboratory } from './laboratory.ts'

let lab: Laboratory
beforeAll(async () => {
  lab = await Laboratory.open('os')
})
afterAll(() => lab.close())

async function run(body: string, init: Parameters<Laboratory['attack']>[1] = {}, units: unknown[] = [null]) {
  const saved: [unit: number, state: string][] = []
  const onCheckpoint = (unit: number, state: Uint8Array): void => void saved.push([unit, Buffer.from(state).toString()])
  const source = `module.exports = (params, context) => { const { checkpoint, unit } = context; ${body} }`
  return { attempts: await lab.attack(source, { ...init, onCheckpoint }, units), saved }
}

it('a state is canonical JSON of its own unit', async () => {
  const { saved } = await run('checkpoint({ b: [1, "\\u0007"], a: unit })', {}, [null, null, null])
  expect(saved).toEqual([0, 1, 2].map((unit) => [unit, `{"a":${unit},"b":[1,"\\u0007"]}`]))
})

const MOST = LIMITS.UNIT_CHECKPOINT_MAX_BYTES

it.each([
  ['over the limit', `checkpoint("x".repeat(${MOST - 1}))`, `over ${MOST} bytes`],
  ['no plain data', 'checkpoint({ a: [() => 1] })', 'value.a[0] is a function'],
  ['one that throws', 'checkpoint({ get a() { throw new Error("mine") } })', 'mine'],
  ['one that saves', 'checkpoint({ get a() { checkpoint(1); return 1 } })', 'while it runs'],
])('%s is refused, which a unit may catch', async (_, does, says) => {
  const [failed] = (await run(does)).attempts
  expect(failed).toMatchObject({ ok: false, code: 'E_CHECKPOINT', message: expect.stringContaining(says) })
  const { attempts, saved } = await run(`try { ${does} } catch (error) { checkpoint(2); return error.code }`)
  expect([attempts, saved]).toEqual([[ok(0, '"E_CHECKPOINT"')], [[0, '2']]])
})

it('one of the limit is taken', async () => {
  const { attempts, saved } = await run(`checkpoint("x".repeat(${MOST - 2})); return 1`)
  expect([attempts, saved[0]?.[1].length]).toEqual([[ok(0, '1')], MOST])
})

it('nothing is saved by the value of a unit', async () => {
  const { attempts, saved } = await run('return { get a() { checkpoint(1); return 1 } }')
  expect(attempts).toMatchObject([{ ok: false, code: 'E_CHECKPOINT' }])
  expect(saved).toEqual([])
})

it('many are passed over, and a unit has no more time for them', async () => {
  const began = performance.now()
  const { attempts, saved } = await run('for (let i = 0; ; i++) checkpoint(i)', { timeoutMs: 1_000 })
  const seconds = (performance.now() - began) / 1_000
  expect(attempts).toMatchObject([{ ok: false, code: 'E_TIMEOUT' }])
  // Each costs eight KiB at least, and a megabyte may go at once.
  expect(saved.length).toBeGreaterThan(10)
  expect(saved.length).toBeLessThan(((1 + seconds) * LIMITS.SANDBOX_CHECKPOINTS_PER_SECOND_BYTES) / 8_192 + 1)
})

it('what the submitter has that is no JSON is as good as nothing', async () => {
  const openUnit = async (resumed: Uint8Array) => {
    const sandbox = lab.sandbox('module.exports = (_, { resumed }) => typeof resumed')
    try {
      const signal = AbortSignal.timeout(DEADLINE_MS)
      for await (const attempts of sandbox.run([{ unit: 0, params: 'null', resumed }], signal)) return attempts
      return []
    } finally {
      await sandbox.close()
    }
  }
  for (const text of ['', '{', '['.repeat(MOST)]) {
    expect(await openUnit(Buffer.from(text))).toEqual([ok(0, '"undefined"')])
  }
  expect(await openUnit(Uint8Array.of(0xff, 0xfe))).toEqual([ok(0, '"undefined"')])
  expect(await openUnit(Buffer.from('[1]'))).toEqual([ok(0, '"object"')])
})
