/** Frames, values, receipts: what is not exactly of the protocol is refused, at no cost beyond its bytes. */

import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { Packr } from 'msgpackr/pack'
import { base32 } from 'multiformats/bases/base32'
import { describe, expect, it, vi } from 'vitest'
import { backoffMs } from '../../protocol/backoff.ts'
import { canonicalBytes, canonicalJson, digestOf, type Json } from '../../protocol/canonical.ts'
import { decodeFrame, encodeFrame, FRAME_ROOM_BYTES, framesOf } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { decodeManifest, policySchema } from '../../protocol/manifest.ts'
import { checkReceipt, signReceipt } from '../../protocol/receipt.ts'
import { isSignedBy } from '../../protocol/signatures.ts'
import { isPlainValue } from '../../protocol/value.ts'
import { type Attempt, toSubmitterSchema, toWorkerSchema } from '../../protocol/work.ts'
import { codeOf } from '../mesh/nodes.ts'
import { liveHeap } from '../sim/heap.ts'
import { newSigner } from '../worker/submitter.ts'

const JOB = 'a'.repeat(52)

const RUN = { t: 'run' as const, job: JOB, units: [[0, '1']] }

describe('a frame', () => {
  it('comes out as it went in', () => {
    const units: [number, string][] = [
      [0, '{"n":1}'],
      [LIMITS.SWEEP_UNITS_MAX, '"ünïcödé \u{1f98e}"'],
    ]
    const message = { t: 'run' as const, job: JOB, units }
    expect(decodeFrame(toWorkerSchema, encodeFrame(message))).toEqual(message)
  })

  it('is not kept in memory by one value of it that is', () => {
    const values = Array.from({ length: 256 }, (_, unit): [number, string] => [unit, `"${'x'.repeat(50)}${unit}"`])
    const keepOneOf = (frames: number) =>
      Array.from({ length: frames }, () => {
        const message = decodeFrame(toWorkerSchema, encodeFrame({ t: 'run', job: JOB, units: values }))
        return message.t === 'run' ? message.units[3]?.[1] : undefined
      })
    const heapBytes = liveHeap()
    keepOneOf(100)
    const before = heapBytes()
    const kept = keepOneOf(500)
    expect((heapBytes() - before) / kept.length).toBeLessThan(1_024)
  })

  it('of our own over the limit must be split', () => {
    expect(() => encodeFrame({ x: 'x'.repeat(LIMITS.FRAME_MAX_BYTES) })).toThrow(
      expect.objectContaining({ code: 'E_FRAME_TOO_BIG' }),
    )
  })

  it('of whatever bytes is refused by its code, and those after it are read as if nothing had been', () => {
    const good = { t: 'beat' as const, slots: 64, queued: 74, running: 127 }
    const bytes = encodeFrame(good)
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      // One byte of a good frame changed.
      fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)).map(([at, byte]) => bytes.with(at, byte)),
      // Records, extensions and references of the library.
      fc
        .tuple(
          fc.constantFrom(0xd4, 0xd5, 0xd6, 0xc7, 0xc8, 0xc9),
          fc.constantFrom(0x72, 0x69, 0x70, 0x73, 0x62, 0x78),
          fc.uint8Array({ maxLength: 60 }),
        )
        .map(([head, kind, tail]) => Uint8Array.of(head, kind, ...tail)),
    )
    fc.assert(
      fc.property(hostile, (frame) => {
        try {
          decodeFrame(toSubmitterSchema, frame)
        } catch (error) {
          expect(error).toMatchObject({ code: 'E_FRAME' })
        }
        expect(decodeFrame(toSubmitterSchema, encodeFrame(good))).toEqual(good)
      }),
      { numRuns: 2_000 },
    )
  })

  it.each<[string, number[]]>([
    ['a list longer than itself', [0xdd, 0xff, 0xff, 0xff, 0xff]],
    [
      'lists in lists, each as long as all that is left',
      Array.from({ length: 50_000 }, () => [0xdd, 0, 3, 0, 0]).flat(),
    ],
    ['a million lists in one another', Array(LIMITS.FRAME_MAX_BYTES).fill(0x91)],
    ['a text longer than itself', [0xdb, 0xff, 0xff, 0xff, 0xff, 0x61]],
    ['bytes longer than themselves', [0xc6, 0xff, 0xff, 0xff, 0xff, 0x61]],
  ])('that claims %s takes no memory for it', (_, bytes) => {
    const before = process.memoryUsage().rss
    expect(() => decodeFrame(toWorkerSchema, Uint8Array.from(bytes))).toThrow(
      expect.objectContaining({ code: 'E_FRAME' }),
    )
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 2 ** 20)
  })

  it.each<[string, Uint8Array]>([
    ['records, which are compiled', new Packr({ useRecords: true }).pack(RUN)],
    [
      'references, by which a few bytes double forty times',
      new Packr({ structuredClone: true }).pack({ ...RUN, units: [[RUN], RUN] }),
    ],
    [
      'integers of any length, which are written in decimal',
      new Packr({ useBigIntExtension: true }).pack({ ...RUN, job: 2n ** 999n }),
    ],
  ])('has nothing of what the library adds to msgpack: %s', (_, frame) => {
    expect(() => decodeFrame(toWorkerSchema, frame)).toThrow('a frame that is not msgpack')
  })

  it('is one message: what comes after it is not looked at', () => {
    const stringify = vi.spyOn(JSON, 'stringify')
    const frame = Buffer.concat([encodeFrame(RUN), encodeFrame(RUN)])
    expect(() => decodeFrame(toWorkerSchema, frame)).toThrow('a frame that goes on after its message')
    expect(stringify).not.toHaveBeenCalled()
    stringify.mockRestore()
  })

  it('that is wrong in many places is told of in a few words', () => {
    const attempts = Array.from({ length: LIMITS.FRAME_UNITS_MAX }, () => ({ unit: -1, ok: 3, value: {} }))
    try {
      decodeFrame(toSubmitterSchema, encodeFrame({ t: 'results', job: JOB, attempts, receipt: 1, signature: 2 }))
      expect.unreachable()
    } catch (error) {
      expect(String(error).length).toBeLessThan(500)
    }
  })
})

describe('a description of a job', () => {
  const none = new Uint8Array()
  const named = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`n${i}`, none]))
  const JOB_OF = { v: 1, name: '', mesh: '', submitter: '', nonce: '', policy: policySchema.parse({}) }
  const task = { runtime: 'js', digest: JOB, bytes: 1 }
  it.each<[string, object]>([
    ['points that are none', { kind: 'points', points: Array(100_000).fill(null) }],
    ['values that are none', { kind: 'product', axes: [['x', { kind: 'list', values: Array(100_000).fill(none) }]] }],
    ['parameters that are none', { kind: 'points', points: [named] }],
  ])('with thousands of %s is refused for one', (_, sweep) => {
    const manifest = canonicalBytes({ ...JOB_OF, task, sweep, retryOf: null, after: [] })
    expect(() => decodeManifest(manifest)).toThrow(/^sweep[^;]*$/)
  })
})

describe('many things', () => {
  it('go in as few frames as hold them, in their order, and what is too large goes alone', () => {
    const sizes = [FRAME_ROOM_BYTES - 1, 1, 1, 2 * FRAME_ROOM_BYTES, 5, 6, 7]
    expect([...framesOf(sizes, (size) => size, 2)]).toEqual([
      sizes.slice(0, 2),
      [1],
      [2 * FRAME_ROOM_BYTES],
      [5, 6],
      [7],
    ])
    expect([...framesOf([], () => 1)]).toEqual([])
  })
})

describe('the time until the next try', () => {
  it('doubles with each failure up to its bound, and never comes early', () => {
    const waits = (random: number) =>
      [0, 1, 2, 3, 2_000].map((failures) => backoffMs(failures, { firstMs: 100, longestMs: 500, random: () => random }))
    expect([waits(0), waits(1)]).toEqual([
      [50, 100, 200, 250, 250],
      [100, 200, 400, 500, 500],
    ])
  })
})

it('a digest is SHA-256 in base32, as the library writes it', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(digestOf(bytes)).toBe(base32.baseEncode(createHash('sha256').update(bytes).digest()))
    }),
  )
})

describe('a value', () => {
  it('is plain if it is canonical, and only then', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const text = canonicalJson(value as Json)
        expect(isPlainValue(text)).toBe(true)
        expect(isPlainValue(` ${text}`)).toBe(false)
      }),
    )
  })

  it.each([
    '',
    '{',
    'undefined',
    'NaN',
    '1e999',
    '-0',
    '1.0',
    '01',
    '1E2',
    '"\\u0041"',
    '"\\ud800"',
    '{"b":1,"a":2}',
    '{"a":1,"a":1}',
    '[1, 2]',
    '[1]x',
  ])('of %j is not plain', (text) => expect(isPlainValue(text)).toBe(false))

  it('is bounded in depth', () => {
    const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`
    expect(isPlainValue(nested(LIMITS.UNIT_VALUE_DEPTH_MAX))).toBe(true)
    expect(isPlainValue(nested(LIMITS.UNIT_VALUE_DEPTH_MAX + 1))).toBe(false)
    expect(isPlainValue('{"a":'.repeat(65) + 1 + '}'.repeat(65))).toBe(false)
    expect(isPlainValue(nested(120_000))).toBe(false)
  })
})

describe('a receipt', () => {
  const attempts: Attempt[] = [
    { unit: 3, ok: true, value: '9' },
    { unit: 4, ok: false, code: 'E_TIMEOUT', message: 'slow', blame: 'time' },
  ]

  it('binds a worker, a job, units and their ends', async () => {
    const [worker, other] = [await newSigner(), await newSigner()]
    const { receipt, signature } = await signReceipt(worker, JOB, attempts)
    const checked = await checkReceipt(worker.peer, JOB, attempts, signature)
    expect(checked).toEqual({ receipt, ends: [digestOf('9'), 'E_TIMEOUT'] })
    const [first, second] = attempts as [Attempt, Attempt]
    const wrong: [string, string, Attempt[], Uint8Array][] = [
      [other.peer, JOB, attempts, signature],
      [worker.peer, 'b'.repeat(52), attempts, signature],
      [worker.peer, JOB, [second, first], signature],
      [worker.peer, JOB, [first], signature],
      [worker.peer, JOB, [{ ...first, unit: 2 }, second], signature],
      [worker.peer, JOB, [{ unit: 3, ok: true, value: '8' }, second], signature],
      [worker.peer, JOB, [first, { unit: 4, ok: true, value: 'E_TIMEOUT' }], signature],
      [worker.peer, JOB, attempts, new Uint8Array(64)],
      [worker.peer, JOB, attempts, new Uint8Array()],
      [worker.peer, JOB, attempts, await worker.sign('manifest', receipt)],
      ['no peer', JOB, attempts, signature],
    ]
    for (const parts of wrong) expect(await codeOf(checkReceipt(...parts))).toBe('E_FRAME')
  })

  it('is nothing that another context signed, nor a signature of any length', async () => {
    const signer = await newSigner()
    const bytes = new Uint8Array(10)
    const signature = await signer.sign('ad', bytes)
    expect(await isSignedBy(signer.peer, 'ad', bytes, signature)).toBe(true)
    for (const wrong of [new Uint8Array(), new Uint8Array(100_000), signature.subarray(1)]) {
      expect(await isSignedBy(signer.peer, 'ad', bytes, wrong)).toBe(false)
    }
    expect(await isSignedBy(signer.peer, 'certificate', bytes, signature)).toBe(false)
    expect(await isSignedBy('', 'ad', bytes, signature)).toBe(false)
  })
})
