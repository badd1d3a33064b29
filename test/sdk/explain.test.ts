/** What a scientist asks of a job before, while and instead of running it: on a real node in this process. */

import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { grid, Mesh, REASONS, range, TalkootError, taskAt } from '../../sdk/index.ts'

const square = taskAt<typeof import('./tasks/square.task.ts')>(
  fileURLToPath(new URL('./tasks/square.task.ts', import.meta.url)),
)

test('a job is planned, follows another, is held, explained and released', async () => {
  await using mesh = await Mesh.local()
  const sweep = grid({ n: range(5) })
  expect(await mesh.plan(square, sweep, { unitMs: 1_000 })).toMatchObject({
    units: 5,
    peers: { known: 1, matching: 1 },
    unitTime: { ms: 1_000, from: 'given' },
    blocked: null,
  })

  await using first = await mesh.map(square, sweep, { require: 'peer.cpus > 999', queue: true })
  await using second = await mesh.map(square, sweep, { after: [first] })
  const { waiting, peers, clauses } = await first.explain()
  expect(waiting).toMatchObject([{ reason: 'no-match', units: 5, ...REASONS['no-match'] }])
  expect(peers.idle).toMatchObject([{ reason: 'no-match', peers: 1 }])
  expect(clauses.at(-1)).toMatchObject({ clause: 'peer.cpus > 999', excludes: 1 })
  expect(await second.explain(4)).toMatchObject({
    state: 'waiting',
    params: { n: 4 },
    waiting: { reason: 'dependency' },
  })
  await expect(second.explain(5)).rejects.toThrow(TalkootError)

  await second.hold()
  expect((await second.explain()).waiting).toMatchObject([{ reason: 'held', mover: 'user' }])
  await first.cancel()
  await second.release()
  expect((await second.collect()).map(({ params }) => params.n).sort()).toEqual([0, 1, 2, 3, 4])
  expect(await second.explain(4)).toMatchObject({ state: 'decided', outcome: { status: 'accepted' } })
})
