import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BlobStore } from '../../node/store/blobs.ts'
import { EvidenceStore } from '../../node/store/evidence.ts'
import { JobStore } from '../../node/store/job-store.ts'
import { openLedger } from '../../node/store/ledger.ts'
import { SqliteMeshStore } from '../../node/store/mesh-store.ts'
import { PeerNumbers } from '../../node/store/peer-numbers.ts'
import { ReceiptStore } from '../../node/store/receipt-store.ts'
import type { StoredResult } from '../../node/store/result-store.ts'
import { takeStateFolder } from '../../node/store/state-folder.ts'
import { digestOf } from '../../protocol/canonical.ts'
import { LIMITS } from '../../protocol/limits.ts'

import { BACK_TO_4, BACK_TO_9 } from './old-ledger.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'talkoot-store-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const file = () => join(folder, 'ledger.sqlite')

const result = (unit: number, seq: number): StoredResult => ({
  unit,
  seq,
  ok: true,
  value: `${unit}.5`,
  code: null,
  blame: null,
  voices: [
    { peer: 'alice', digest: 'd1', code: null },
    { peer: 'bob', digest: null, code: 'E_TASK_THREW' },
  ],
  attempts: 2,
  disagreed: true,
  error: 0.25,
  revision: 0,
})

function openJobs() {
  const ledger = openLedger(file())
  const peers = new PeerNumbers(ledger)
  return { ledger, jobs: new JobStore({ ledger, peers }), evidence: new EvidenceStore({ ledger, peers }) }
}

const job = { id: 'j', units: 10, manifest: new Uint8Array([1, 2]), signature: new Uint8Array([3]), createdMs: 5 }

describe('ledger', () => {
  it('gives back after reopening what was kept, bytes and all', () => {
    const first = openJobs()
    const { n } = first.jobs.add(job)
    first.ledger.transaction(() => {
      first.jobs.results.keep(n, result(7, 1))
      first.jobs.results.keep(n, result(2, 2))
      first.jobs.addTotals(n, { accepted: 2, failed: 0, executions: 4, wasted: 1, disagreements: 2, errorSum: 0.5 })
      first.jobs.credit(n, 'alice', 2)
      first.evidence.add('bob', 'outvoted', 2)
    })
    first.ledger.close()

    const { ledger, jobs, evidence } = openJobs()
    expect(jobs.get('j')).toMatchObject({ ...job, state: 'running', totals: { accepted: 2, executions: 4, wasted: 1 } })
    expect(jobs.results.page(n, 'seq', 0, 10)).toEqual([result(7, 1), result(2, 2)])
    expect(jobs.results.page(n, 'unit', -1, 10).map(({ unit }) => unit)).toEqual([2, 7])
    expect(jobs.results.page(n, 'seq', 1, 10)).toHaveLength(1)
    expect(jobs.creditOf(n)).toEqual([{ peer: 'alice', accepted: 2 }])
    expect(evidence.standing('bob')).toEqual({ agreed: 0, outvoted: 2, lapsed: 0, faulty: 0 })
    ledger.close()
  })

  it('keeps the first decision of a unit', () => {
    const { ledger, jobs } = openJobs()
    const { n } = jobs.add(job)
    jobs.results.keep(n, result(1, 1))
    jobs.results.keep(n, { ...result(1, 9), value: '"other"' })
    expect(jobs.results.page(n, 'seq', 0, 10)).toEqual([result(1, 1)])
    ledger.close()
  })

  it('keeps nothing of a transaction that fails', () => {
    const { ledger, jobs } = openJobs()
    const { n } = jobs.add(job)
    const failing = () =>
      ledger.transaction(() => {
        jobs.results.keep(n, result(1, 1))
        throw new Error('power cut')
      })
    expect(failing).toThrow('power cut')
    expect(jobs.results.page(n, 'seq', 0, 10)).toEqual([])
    ledger.close()
  })

  it.each([
    ['empty', () => truncateSync(file(), 0)],
    ['cut in the middle', () => truncateSync(file(), 9_000)],
    ['overwritten', () => writeFileSync(file(), 'this was a ledger once'.repeat(500))],
  ])('refuses a ledger that is %s, and leaves it as it is', (_, damage) => {
    const { ledger, jobs } = openJobs()
    for (let i = 0; i < 50; i++) jobs.add({ ...job, id: `j${i}`, manifest: new Uint8Array(500) })
    ledger.close()
    damage()
    const before = readFileSync(file())
    expect(() => openLedger(file())).toThrow(expect.objectContaining({ code: 'E_LEDGER_CORRUPT' }))
    expect(readFileSync(file())).toEqual(before)
  })

  it('refuses a ledger of another version', () => {
    const ledger = openLedger(file())
    ledger.db.exec('PRAGMA user_version = 99')
    ledger.close()
    expect(() => openLedger(file())).toThrow(expect.objectContaining({ code: 'E_LEDGER_VERSION' }))
  })
})

describe('a ledger of before', () => {
  it('knows which units left files, and gives back room it has no use for', () => {
    const digest = digestOf('a tree')
    const { ledger, jobs } = openJobs()
    const { n } = jobs.add(job)
    const valued = (unit: number, value: string) => jobs.results.keep(n, { ...result(unit, unit + 1), value })
    valued(1, `{"files":{"bytes":4,"digest":"${digest}"},"stdout":""}`)
    valued(2, '{"files":7}')
    valued(3, '"\\"files\\":"')
    expect([jobs.unitFiles.has(digest), jobs.unitFiles.has('g'.repeat(43))]).toEqual([true, false])
    ledger.db.exec(`${BACK_TO_9} PRAGMA user_version = 9; PRAGMA auto_vacuum = NONE`)
    ledger.db.exec('VACUUM')
    ledger.close()
    const later = openJobs()
    expect(later.ledger.db.prepare('SELECT * FROM unit_files').all()).toEqual([{ job: n, unit: 1, tree: digest }])
    expect(later.ledger.db.prepare('PRAGMA auto_vacuum').get()).toEqual({ auto_vacuum: 2 })
    expect(later.jobs.results.page(n, 'seq', 0, 10)).toHaveLength(3)
    later.ledger.close()
  })
})

describe('receipts', () => {
  const openReceipts = () => {
    const ledger = openLedger(file())
    const peers = new PeerNumbers(ledger)
    return { ledger, jobs: new JobStore({ ledger, peers }), receipts: new ReceiptStore({ ledger, peers }) }
  }
  const [receipt, signature] = [new Uint8Array([1]), new Uint8Array([2])]

  it('are kept once, in a ledger of before too, and read page by page', () => {
    const { ledger, jobs, receipts } = openReceipts()
    const { n } = jobs.add(job)
    for (const last of [2, 3, 2]) jobs.keepReceipt(n, 'alice', receipt, new Uint8Array([last]))
    expect(receipts.page(n, 0, 1)).toEqual([{ place: 1, peer: 'alice', receipt, signature }])
    ledger.db.exec(`${BACK_TO_4} PRAGMA user_version = 4`)
    ledger.db.exec('INSERT INTO receipts SELECT * FROM receipts')
    ledger.close()
    const later = openReceipts()
    expect(later.receipts.last(n)).toBe(2)
    expect(later.receipts.page(n, 1, 9).map((kept) => kept.signature)).toEqual([new Uint8Array([3])])
    later.ledger.close()
  })

  it('go with the newest certificates of those who signed', () => {
    const { ledger, receipts } = openReceipts()
    const chain = (byte: number) => [{ bytes: new Uint8Array([byte]), signature }]
    receipts.keepChain('alice', chain(1))
    receipts.keepChain('alice', chain(2))
    receipts.keepChain('alice', [])
    receipts.keepChain('bob', [])
    expect([receipts.chainOf('alice'), receipts.chainOf('bob')]).toEqual([chain(2), []])
    ledger.close()
  })
})

describe('decisions', () => {
  const decided = (unit: number, peer: string) => ({
    ...result(unit, unit + 1),
    voices: [{ peer, digest: 'd', code: null }],
  })

  it('are found by whose word they hang on, withdrawn, and made again with a new place', () => {
    const { ledger, jobs } = openJobs()
    const { n } = jobs.add(job)
    ledger.transaction(() => {
      for (let unit = 0; unit < 4; unit++) jobs.results.keep(n, decided(unit, unit % 2 === 0 ? 'alice' : 'bob'))
      jobs.results.confirm(n, { ...decided(2, 'alice'), attempts: 3, error: 0.125 })
    })
    const unitsOf = (...peers: string[]) => jobs.results.spokenOnBy(n, peers, -1, 9).map(({ unit }) => unit)
    expect([unitsOf('alice'), unitsOf('bob', 'alice'), unitsOf('nobody')]).toEqual([[0, 2], [0, 1, 2, 3], []])
    expect(jobs.results.spokenOnBy(n, ['alice'], 0, 9)).toMatchObject([{ unit: 2, attempts: 3, error: 0.125 }])
    ledger.transaction(() => {
      expect(jobs.results.withdraw(n, 2)).toMatchObject({ unit: 2, revision: 0 })
      expect(jobs.results.withdraw(n, 2)).toBe(null)
    })
    expect(unitsOf('alice')).toEqual([0])
    expect(jobs.results.page(n, 'unit', -1, 9).map(({ unit }) => unit)).toEqual([0, 1, 3])
    ledger.transaction(() => expect(jobs.results.keep(n, { ...decided(2, 'bob'), seq: 5 })).toBe(true))
    ledger.transaction(() => expect(jobs.results.keep(n, { ...decided(2, 'eve'), seq: 6 })).toBe(false))
    expect(jobs.results.page(n, 'seq', 4, 9)).toMatchObject([
      { unit: 2, seq: 5, revision: 1, voices: [{ peer: 'bob' }] },
    ])
    ledger.close()
  })
})

describe('mesh store', () => {
  const token = {
    id: 't',
    secretHash: new Uint8Array([9]),
    role: 'member' as const,
    usesMax: 1,
    usesLeft: 1,
    createdAt: 1,
    expiresAt: 2,
    revoked: false,
  }

  it('counts each peer once against the uses of a token', () => {
    const ledger = openLedger(file())
    const store = new SqliteMeshStore(ledger)
    store.addToken(token)
    expect(store.useToken('t', 'alice')).toBe(true)
    expect(store.useToken('t', 'alice')).toBe(true)
    expect(store.useToken('t', 'bob')).toBe(false)
    expect(store.tokenUsers('t')).toEqual(['alice'])
    expect(store.revokeToken('t')).toBe(true)
    expect(store.useToken('t', 'alice')).toBe(false)
    expect(store.revokeToken('unknown')).toBe(false)
    ledger.close()
  })

  it('forgets tokens and peers of a mesh it leaves, not of one whose name changes', () => {
    const ledger = openLedger(file())
    const store = new SqliteMeshStore(ledger)
    const mesh = { id: 'm1', kind: 'private' as const, name: 'one', chain: [], key: null }
    store.keepMesh(mesh)
    store.addToken(token)
    store.keepMesh({ ...mesh, name: 'renamed' })
    expect(store.tokens()).toEqual([token])
    store.keepMesh({ ...mesh, id: 'm2' })
    expect(store.tokens()).toEqual([])
    expect(store.mesh()).toMatchObject({ id: 'm2' })
    ledger.close()
  })

  it('remembers the latest peers, up to the bound', () => {
    const ledger = openLedger(file())
    const store = new SqliteMeshStore(ledger)
    for (let i = 0; i <= LIMITS.PEERS_REMEMBERED_MAX; i++) store.rememberPeer({ id: `p${i}`, addresses: ['/a'] })
    store.rememberPeer({ id: 'p500', addresses: ['/b'] })
    const peers = store.peers()
    expect(peers).toHaveLength(LIMITS.PEERS_REMEMBERED_MAX)
    expect(peers[0]).toEqual({ id: 'p500', addresses: ['/b'] })
    expect(peers.some(({ id }) => id === 'p0')).toBe(false)
    ledger.close()
  })
})

describe('blob store', () => {
  it('keeps bytes under their digest only', () => {
    const blobs = new BlobStore(join(folder, 'blobs'))
    const bytes = new TextEncoder().encode('hello')
    const digest = blobs.put(bytes)
    expect(blobs.get(digest)).toEqual(Buffer.from(bytes))
    expect(() => blobs.put(bytes, digestOf('other'))).toThrow(expect.objectContaining({ code: 'E_BLOB' }))
    expect(() => blobs.get('../ledger.sqlite')).toThrow(expect.objectContaining({ code: 'E_BLOB' }))
    expect(() => blobs.get(digestOf('absent'))).toThrow(expect.objectContaining({ code: 'E_NOT_FOUND' }))
  })

  it('notices damaged bytes and bytes over the limit', () => {
    const blobs = new BlobStore(join(folder, 'blobs'))
    const digest = blobs.put(new TextEncoder().encode('hello'))
    writeFileSync(join(folder, 'blobs', digest), 'jello')
    expect(() => blobs.get(digest)).toThrow(expect.objectContaining({ code: 'E_BLOB' }))
    expect(blobs.has(digest)).toBe(false)
    expect(() => blobs.put(new Uint8Array(LIMITS.BLOB_MAX_BYTES + 1))).toThrow(
      expect.objectContaining({ code: 'E_BLOB' }),
    )
  })
})

describe('state folder', () => {
  it('is held by one process at a time, which a second is told, and freed by kill -9', async () => {
    const path = join(folder, 'state')
    const module = join(import.meta.dirname, '../../node/store/state-folder.ts')
    const script = `
      const { takeStateFolder } = await import(${JSON.stringify(module)})
      // Held by a name: a lock nobody refers to is collected, and its file closed.
      globalThis.held = takeStateFolder(${JSON.stringify(path)})
      console.log('held')
      setInterval(() => undefined, 1000)`
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(holder.stdout, 'data')
    expect(() => takeStateFolder(path)).toThrow(
      expect.objectContaining({ code: 'E_ALREADY_RUNNING', meta: { folder: path, pid: holder.pid } }),
    )
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    takeStateFolder(path).release()
  })

  it('is refused when others may enter it', () => {
    const path = join(folder, 'state')
    mkdirSync(path, { mode: 0o755 })
    chmodSync(path, 0o755)
    expect(() => takeStateFolder(path)).toThrow(expect.objectContaining({ code: 'E_STATE_UNSAFE' }))
  })
})
