/** Memory is collected while a node has nothing to do: not before, not twice for nothing, not once it is stopped. */

import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { IdleMemory } from '../../node/idle-memory.ts'

const LOOK_MS = 15_000
/** More than what is not worth a collection. */
const GROWTH_BYTES = 24 * 2 ** 20

/** Of the node since the last look, microseconds: looks follow one another at once here. */
let usedMicros = 0

beforeEach(() => {
  usedMicros = 0
  vi.spyOn(process, 'cpuUsage').mockImplementation(() => ({ user: usedMicros, system: 0 }))
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  vi.spyOn(Math, 'random').mockReturnValue(0.5)
})

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** Something that is garbage from the next turn on, and that only a collection takes away. */
async function garbage(): Promise<WeakRef<object>> {
  const ref = new WeakRef({})
  await turn()
  return ref
}

const look = () => vi.advanceTimersByTime(LOOK_MS)

it('collects at the second look in a row without work', async () => {
  let busy = true
  const memory = new IdleMemory({ isIdle: () => !busy })
  memory.start()
  const ref = await garbage()
  const isThere = async () => {
    await turn()
    return ref.deref() !== undefined
  }
  for (let i = 0; i < 5; i++) look()
  expect(await isThere()).toBe(true)
  busy = false
  look()
  busy = true
  look()
  busy = false
  look()
  expect(await isThere()).toBe(true)
  await turn()
  look()
  expect(await isThere()).toBe(false)
  memory.stop()
})

it('collects nothing while peers keep the node busy', async () => {
  const memory = new IdleMemory({ isIdle: () => true })
  memory.start()
  const ref = await garbage()
  usedMicros = 1e9
  for (let i = 0; i < 4; i++) look()
  await turn()
  expect(ref.deref()).toBeDefined()
  usedMicros = 0
  await turn()
  look()
  look()
  await turn()
  expect(ref.deref()).toBeUndefined()
  memory.stop()
})

it('collects again only when memory has grown, and never once it is stopped', async () => {
  const memory = new IdleMemory({ isIdle: () => true })
  memory.start()
  // What is resident is the machine's word: it is held still here.
  const rss = vi.spyOn(process.memoryUsage, 'rss').mockReturnValue(100 * 2 ** 20)
  look()
  look()
  const first = await garbage()
  for (let i = 0; i < 4; i++) look()
  await turn()
  expect(first.deref()).toBeDefined()
  rss.mockReturnValue(100 * 2 ** 20 + GROWTH_BYTES)
  await turn()
  look()
  await turn()
  expect(first.deref()).toBeUndefined()
  memory.stop()
  rss.mockReturnValue(100 * 2 ** 20 + 2 * GROWTH_BYTES)
  const last = await garbage()
  for (let i = 0; i < 4; i++) look()
  await turn()
  expect(last.deref()).toBeDefined()
})
