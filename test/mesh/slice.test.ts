import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { fetchBlob, serveBlobs } from '../../node/mesh/blob-exchange.ts'
import { BlobStore } from '../../node/store/blobs.ts'
import { digestOf } from '../../protocol/canonical.ts'
import { encodeFrame } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { codeOf, deadline, sees, startMember, startNode, until } from './nodes.ts'

test('a node joins with a token, both see each other, and frames go both ways', async () => {
  const admin = await startNode()
  admin.serve('/test/echo/1', async (channel) => {
    for await (const frame of channel) await channel.send(frame)
  })
  const member = await startMember(admin)
  expect(admin.peers()[0]).toMatchObject({ id: member.peerId, role: 'member', direction: 'inbound' })
  expect(member.peers()[0]).toMatchObject({ id: admin.peerId, role: 'admin', direction: 'outbound' })
  expect(member.meshId).toBe(admin.meshId)

  const channel = await member.open(admin.peerId, '/test/echo/1', deadline())
  await channel.send(new TextEncoder().encode('hei'))
  for await (const frame of channel) {
    expect(new TextDecoder().decode(frame)).toBe('hei')
    break
  }
  await channel.close()
  await member.stop()
  await until(() => !sees(admin, member))
})

test('bytes go from peer to peer part by part, and no part is read for who does not take those before', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'talkoot-blobs-'))
  const [admin, blobs] = [await startNode(), new BlobStore(folder)]
  const length = 20 * LIMITS.BLOB_CHUNK_BYTES + 1
  const bytes = new Uint8Array(length).map((_, at) => at % 251)
  const digest = blobs.put(bytes)
  const parts = vi.spyOn(blobs, 'part')
  serveBlobs(admin, blobs)
  const member = await startMember(admin)
  const fetch = (wanted: { digest: string; length: number }) => fetchBlob(member, admin.peerId, wanted, deadline())
  expect(Buffer.compare(await fetch({ digest, length }), bytes)).toBe(0)
  expect(await codeOf(fetch({ digest: digestOf('another blob'), length }))).toBe('E_BLOB')
  expect(await codeOf(fetch({ digest, length: length - 1 }))).toBe('E_BLOB')
  await until(() => admin.peers().length === 1)

  const channel = await member.open(admin.peerId, '/talkoot/blob/1', deadline())
  parts.mockClear()
  await channel.send(encodeFrame({ digest }))
  const window = (LIMITS.STREAM_CREDIT_FRAMES * LIMITS.FRAME_MAX_BYTES) / LIMITS.BLOB_CHUNK_BYTES
  await until(() => parts.mock.calls.length >= window)
  // Meanwhile all of it goes to one that reads.
  await fetch({ digest, length })
  expect(parts.mock.calls.length).toBeLessThanOrEqual(window + 1 + 21)
  rmSync(folder, { recursive: true })
})
