/** Whoever was caught for being right gets back what that cost, also where the submitter's node was started anew in between. */

import { expect, it } from 'vitest'
import { until } from '../mesh/nodes.ts'
import { newSigner } from '../worker/submitter.ts'
import { Laboratory } from './laboratory.ts'
import { honest, scripted } from './scripted-worker.ts'

const UNITS = 20

it('one that two outvoted is believed again when they are found out after a restart', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const [right, ...plotters] = [await newSigner(), await newSigner(), await newSigner()]
  const standing = () => lab.evidence.creditAt(right.peer, Date.now())
  lab.evidence.keepCredit(right.peer, { checks: 2, caught: 0 }, Date.now())

  /** They say of unit 0 what they agreed on; later, of one other unit, each another lie. */
  let isLater = false
  const [first, second] = plotters.map((signer, i) => {
    let lied = false
    const onRun: Parameters<typeof scripted>[1]['onRun'] = (act, { job, units }) => {
      const lie = units.find(([unit]) => unit === 0 || (isLater && !lied))
      if (lie === undefined) return
      const [unit] = lie
      lied = unit !== 0
      return act.tell(job, [{ unit, ok: true, value: unit === 0 ? '666' : `${-unit - i / 10}` }])
    }
    return { id: signer.peer, behave: scripted(signer, { onRun }) }
  })
  let hasSpoken = false
  const onRun: Parameters<typeof scripted>[1]['onRun'] = async (act, run) => {
    await act.tell(run.job, act.square(run))
    hasSpoken ||= run.units.some(([unit]) => unit === 0)
  }
  lab.mesh.enter(right.peer, scripted(right, { onRun }))
  lab.mesh.enter(first?.id ?? '', first?.behave ?? honest(right))
  const { id } = await lab.submit(UNITS, { verify: { kind: 'confidence', goal: 0.999, collusion: 0.01 } })
  // Not before, so that it cannot be left out.
  await until(() => hasSpoken)
  lab.mesh.enter(second?.id ?? '', second?.behave ?? honest(right))
  await until(() => standing()?.caught === 1)
  const n = lab.store.get(id)?.n ?? 0
  expect(lab.evidence.catchesIn(n, Date.now())).toMatchObject([{ unit: 0, peer: right.peer, caught: 0 }])

  await lab.restart()
  isLater = true
  for (const signer of [await newSigner(), await newSigner(), await newSigner()]) {
    lab.mesh.enter(signer.peer, honest(signer))
  }
  expect(await lab.ended(id)).toMatchObject({ accepted: UNITS })
  expect(await lab.values(id)).toEqual(Array.from({ length: UNITS }, (_, unit) => unit * unit))
  for (const { peer } of plotters) expect(lab.evidence.isCaught(peer)).toBe(true)
  expect(standing()?.caught).toBe(0)
  expect(standing()?.checks).toBeGreaterThan(2.9)
  // Of a job that has ended nothing is left to be given back.
  expect(lab.evidence.catchesIn(n, Date.now())).toEqual([])
})
