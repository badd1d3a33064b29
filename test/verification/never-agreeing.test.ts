/** Jobs with a quorum: a task that does not repeat is told from any number of liars below one half. */

import { expect, test } from 'vitest'
import { NeverAgreeing } from '../../node/jobs/verification/never-agreeing.ts'
import { equivocator, honest, liar, type Peer, RIGHT } from './adversaries.ts'
import { Chance } from './chance.ts'
import { says } from './voices.ts'

type Mesh = { peers: Peer[]; units: number; agree?: number; of?: number; seed: number }
type Unit = { index: number; words: Map<number, number>; wants: number }

/** Peers answer as fast as they are; what is begun goes before what is new, as each unit asks for copies. Counts units without a quorum. */
function run({ peers, units, agree = 2, of = 3, seed }: Mesh): {
  stopped: boolean
  without: number
  executions: number
} {
  const [chance, watch] = [new Chance(seed), new NeverAgreeing()]
  const turns = peers.flatMap(({ speed }, peer) => Array.from({ length: speed }, () => peer))
  const open = new Set<Unit>()
  let [begun, without, executions] = [0, 0, 0]
  while (open.size > 0 || begun < units) {
    const peer = turns[chance.below(turns.length)] ?? 0
    let unit = [...open].find(({ words, wants }) => words.size < wants && !words.has(peer))
    if (unit === undefined) {
      // Nobody else is left for what is open.
      if (begun === units) return { stopped: false, without, executions }
      unit = { index: begun++, words: new Map(), wants: agree }
      open.add(unit)
    }
    executions += 1
    unit.words.set(peer, peers[peer]?.answer({ unit: unit.index, turn: executions, peer, chance }) ?? RIGHT)
    const voices = [...unit.words].map(([who, value]) => ({ ...says(`${who}`, `${value}`), platform: '' }))
    const groups = [...Map.groupBy(voices, ({ said }) => (said.ok ? said.digest : '')).values()]
    if (watch.hear(unit.index, groups, () => peers.length) !== null) return { stopped: true, without, executions }
    unit.wants = Math.max(agree, unit.words.size + agree - Math.max(...groups.map(({ length }) => length)))
    const decided = groups.some(({ length }) => length >= agree)
    if (!decided && unit.wants <= of) continue
    if (!decided) without += 1
    open.delete(unit)
  }
  return { stopped: false, without, executions }
}

/** Each result is another, whoever runs it. */
const random = (): Peer => ({ ...honest(), answer: ({ chance }) => 1 + chance.below(2 ** 31) })

test.each([3, 4, 5, 10, 15])(
  '%d peers: a task that does not repeat is stopped, mostly within 20 disagreements',
  (count) => {
    const runs = Array.from({ length: 50 }, (_, seed) => run({ peers: many(count, random), units: 100_000, seed }))
    expect(runs.every(({ stopped }) => stopped)).toBe(true)
    const disagreements = runs.map(({ without }) => without).sort((a, b) => a - b)
    // Where two of the peers happen not to meet for long.
    expect(disagreements.at(-1)).toBeLessThanOrEqual(30)
    expect(disagreements[44]).toBeLessThanOrEqual(20)
  },
)

test.each([
  [30, 3],
  [100, 3],
  [30, 2],
  [100, 2],
])('%d peers, of %d: it is stopped before each of them has done eight units', (count, of) => {
  for (let seed = 1; seed <= 10; seed++) {
    const { stopped, executions } = run({ peers: many(count, random), units: 100_000, of, seed })
    expect(stopped).toBe(true)
    expect(executions / count).toBeLessThan(8)
  }
})

test('a thousand meshes of which 35% lie, ten times as fast as the others: none is stopped', () => {
  const makes = [() => ({ ...equivocator(), speed: 10 }), () => liar(0.5, 0.01, 10), () => liar(1, 1, 10)]
  for (let seed = 1; seed <= 1_000; seed++) {
    const count = 3 + (seed % 48)
    const lies = Math.floor(0.35 * count)
    const peers = [...many(lies, makes[seed % makes.length] ?? honest), ...many(count - lies, () => honest())]
    const [agree, of] = seed % 4 === 0 ? [3, 5] : [2, 2 + (seed % 2)]
    expect(run({ peers, units: 100, agree, of, seed }).stopped).toBe(false)
  }
})

test('half of the peers lie, each otherwise: no two may ever agree, and still it is not said of the task', () => {
  for (let seed = 1; seed <= 100; seed++) {
    const peers = [...many(2, () => ({ ...equivocator(), speed: 10 })), ...many(2, () => honest())]
    expect(run({ peers, units: 200, seed }).stopped).toBe(false)
  }
})

test('a job is stopped on a unit of which two values are known, so that it can be said where they differ', () => {
  const watch = new NeverAgreeing()
  const hear = (unit: number, known: boolean) => {
    const voices = ['a', 'b', 'c'].map((peer) => ({ ...says(peer, `${peer}${unit}`), platform: '' }))
    const told = voices.map((voice) => ({ ...voice, said: { ...voice.said, value: known ? 'x' : '' } }))
    return watch.hear(
      unit,
      told.map((voice) => [voice]),
      () => 3,
    )
  }
  for (let unit = 0; unit < 100; unit++) expect(hear(unit, false)).toBeNull()
  expect(hear(100, true)).toEqual({ kind: 'not-repeatable', unit: 100 })
})

function many<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make)
}
