/** Peers that are blocked or trusted: at once, both ways, for good. */

import { expect, it } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { ruleRequestSchema } from '../../protocol/peer-rules.ts'
import { until } from '../mesh/nodes.ts'
import { newSigner } from '../worker/submitter.ts'
import { Laboratory } from './laboratory.ts'
import { honest, scripted } from './scripted-worker.ts'

const blocked = { verdict: 'blocked' as const, reason: 'noisy' }
const trusted = { verdict: 'trusted' as const, reason: '' }

/** A worker that takes units and keeps them. */
async function hoarder(lab: Laboratory, options: Parameters<Laboratory['mesh']['enter']>[2] = {}) {
  const signer = await newSigner()
  const seen = { peer: signer.peer, given: 0, ended: 0 }
  lab.mesh.enter(
    signer.peer,
    async (channel) => {
      const onRun = (_: unknown, { units }: { units: unknown[] }) => {
        seen.given += units.length
      }
      await scripted(signer, { onRun })(channel).catch(() => undefined)
      seen.ended += 1
    },
    options,
  )
  return seen
}

it('a peer that is blocked loses its session and its units, others get them, and it says why', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const bad = await hoarder(lab)
  const { id } = await lab.submit(10)
  await until(() => bad.given > 0)
  lab.rules.set({ kind: 'peer', who: bad.peer }, blocked)
  await until(() => bad.ended === 1)
  expect(lab.jobs.info(id).waiting).toMatchObject([{ reason: 'blocked', units: 10 }])
  expect(lab.jobs.explain.job(id).peers.idle).toContainEqual(expect.objectContaining({ reason: 'blocked', peers: 1 }))
  expect(lab.jobs.explain.job(id).clauses).toContainEqual({ clause: 'is not blocked here', excludes: 1, remaining: 0 })
  expect(lab.jobs.explain.peer(bad.peer, []).idle).toMatchObject({ reason: 'blocked' })

  const good = await newSigner()
  lab.mesh.enter(good.peer, honest(good), { ad: { cpus: 4 } })
  expect(await lab.ended(id)).toMatchObject({ accepted: 10, peers: [{ peer: good.peer, accepted: 10 }] })
  expect(lab.mesh.opened.get(bad.peer)).toBe(1)
})

it('it stays blocked after a restart and an ad, and is given work again when it is not', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  lab.rules.set({ kind: 'peer', who: 'someone' }, blocked)
  const bad = await hoarder(lab)
  lab.rules.set({ kind: 'peer', who: bad.peer }, blocked)
  await lab.restart()
  const { id } = await lab.submit(10)
  lab.mesh.advertise(bad.peer, { cpus: 8 })
  expect(lab.rules.list().map(({ who }) => who)).toEqual(['someone', bad.peer])
  expect(lab.jobs.info(id).waiting).toMatchObject([{ reason: 'blocked' }])
  expect(lab.mesh.opened.get(bad.peer)).toBe(undefined)
  expect(lab.rules.clear({ kind: 'peer', who: bad.peer }, 'trusted')).toBe(false)
  expect(lab.rules.clear({ kind: 'peer', who: bad.peer }, 'blocked')).toBe(true)
  await until(() => bad.given > 0)
})

it('all peers of an operator are blocked, also one that names it later, but for those with a rule of their own', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  lab.rules.set({ kind: 'operator', who: 'acme' }, blocked)
  const late = await hoarder(lab)
  const named = await hoarder(lab, { ad: { labels: { operator: 'acme' } } })
  const exempt = await hoarder(lab, { ad: { labels: { operator: 'acme' } } })
  lab.rules.set({ kind: 'peer', who: exempt.peer }, trusted)
  await lab.submit(100)
  await until(() => late.given > 0 && exempt.given > 0)
  lab.mesh.advertise(late.peer, { labels: { operator: 'acme' } })
  await until(() => late.ended === 1)
  expect(named.given).toBe(0)
  expect(exempt.ended).toBe(0)
})

it('a stranger that is trusted counts as a member; what it allows to strangers stays its own affair', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const stranger = await hoarder(lab, { role: 'stranger', ad: { strangers: true } })
  const closed = await hoarder(lab, { role: 'stranger', ad: { strangers: false } })
  const { id } = await lab.submit(100, { require: 'peer.trust == "member"' })
  expect(lab.jobs.explain.job(id).clauses.at(-1)).toMatchObject({ excludes: 3 })
  for (const { peer } of [stranger, closed]) lab.rules.set({ kind: 'peer', who: peer }, trusted)
  await until(() => stranger.given > 0)
  expect(closed.given).toBe(0)
  for (const { peer } of [stranger, closed]) lab.rules.clear({ kind: 'peer', who: peer }, 'trusted')
  await until(() => lab.jobs.info(id).running === 0)
})

it('there is room for so many rules, and a reason has an end', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  lab.ledger.transaction(() => {
    const insert = lab.ledger.db.prepare(`INSERT INTO peer_rules VALUES ('peer', ?, 'blocked', '', 1)`)
    for (let i = 1; i < LIMITS.PEER_RULES_MAX; i++) insert.run(`peer ${i}`)
  })
  await lab.restart()
  lab.rules.set({ kind: 'peer', who: 'last' }, blocked)
  lab.rules.set({ kind: 'peer', who: 'last' }, trusted)
  expect(() => lab.rules.set({ kind: 'peer', who: 'one more' }, blocked)).toThrow(
    expect.objectContaining({ code: 'E_USAGE' }),
  )
  const reason = 'x'.repeat(LIMITS.PEER_RULE_REASON_MAX_CHARS)
  expect(ruleRequestSchema.safeParse({ verdict: 'blocked', reason }).success).toBe(true)
  expect(ruleRequestSchema.safeParse({ verdict: 'blocked', reason: `${reason}x` }).success).toBe(false)
})
