import { expect, test } from 'vitest'
import { AD } from './ad.ts'
import { deadline, HOUR_MS, sees, startMember, startNode, until } from './nodes.ts'

test('a third node, told only of the second, finds the first within three seconds', async () => {
  const first = await startNode()
  const second = await startMember(first, 'admin')
  let soonest = Number.POSITIVE_INFINITY
  for (let tries = 0; tries < 4 && soonest >= 3_000; tries++) {
    const third = await startNode()
    const { text } = second.createToken({ uses: 1, ttlMs: HOUR_MS, role: 'worker' })
    await third.join(text, deadline())
    const joined = performance.now()
    await until(() => sees(third, first) && sees(first, third))
    soonest = Math.min(soonest, performance.now() - joined)
    expect(third.peers().map(({ role }) => role)).toEqual(['admin', 'admin'])
    await until(() => third.status().dhtTable === 2)
    await third.stop()
    await until(() => !sees(first, third) && !sees(second, third))
  }
  expect(soonest).toBeLessThan(3_000)
})

test('an outbound-only worker finds a submitter that wants work, and is opened to over the connection it dialled', async () => {
  const admin = await startNode()
  const submitter = await startMember(admin)
  submitter.wantWork(true)
  const worker = await startMember(admin, 'worker', { outboundOnly: true })
  worker.serve('/test/work/1', async (channel) => {
    for await (const frame of channel) await channel.send(frame)
  })
  await until(() => sees(submitter, worker))
  const [seen] = submitter.peers().filter(({ id }) => id === worker.peerId)
  expect(seen).toMatchObject({ direction: 'inbound', ad: { reach: 'outbound', addresses: [] } })
  expect(worker.status()).toMatchObject({ reach: 'outbound', addresses: [] })

  const channel = await submitter.open(worker.peerId, '/test/work/1', deadline())
  await channel.send(Uint8Array.of(1, 2, 3))
  const { value } = await channel[Symbol.asyncIterator]().next()
  expect(value).toEqual(Uint8Array.of(1, 2, 3))
  await channel.close()
})

test('a changed ad reaches connected peers', async () => {
  const admin = await startNode()
  let freeSlots = 2
  const member = await startMember(admin, 'worker', { describe: () => ({ ...AD, freeSlots }) })
  const before = admin.peers()[0]?.ad.seq ?? 0
  const events: string[] = []
  admin.watch(({ type }) => events.push(type), deadline(60_000))
  freeSlots = 1
  member.adChanged()
  await until(() => admin.peers()[0]?.ad.freeSlots === 1)
  expect(admin.peers()[0]?.ad.seq).toBeGreaterThan(before)
  expect(events).toEqual(['peer.ad'])
})
