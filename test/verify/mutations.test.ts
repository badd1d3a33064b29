/** Flips bytes in every region of an export and of a results file: each change is refused, with a code of its own. */

import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import { type Exported, refusal, resealed, runAndExport } from './exported.ts'

let whole: Exported
beforeAll(async () => {
  whole = await runAndExport()
})

/** Where one line begins, each of its values begins, has its middle, and ends. */
function regionsOf(lines: readonly string[]): number[] {
  const places: number[] = []
  let start = 0
  for (const line of lines) {
    for (const { index, 0: part } of line.matchAll(/"[^"]*"|[^",:{}[\]]+|[",:{}[\]\n]/g)) {
      const [first, last] = [start + index, start + index + part.length - 1]
      places.push(first, Math.floor((first + last) / 2), last)
    }
    start += Buffer.byteLength(line)
  }
  return [...new Set(places)]
}

async function flipped(which: 'receipts' | 'results', at: number, bit: number): Promise<string | null> {
  const bytes = Buffer.from(whole[which].join(''))
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at)
  return refusal({ ...whole, [which]: bytes })
}

const REFUSED = /^E_(PROOF|RECEIPT|RESULT)_[A-Z]+$/

it('a flipped bit in any part of any line of the receipts is refused', async () => {
  const codes = new Set<string | null>()
  for (const at of regionsOf(whole.receipts)) {
    // Several bits: what one makes of a letter depends on the keys of the run, and so which check sees it first.
    for (const bit of [0, 1, 3, 6]) {
      const code = await flipped('receipts', at, bit)
      expect(code, `bit ${bit} of byte ${at}`).toMatch(REFUSED)
      codes.add(code)
    }
  }
  const each = ['FORM', 'MANIFEST', 'TASK', 'SEAL'].map((part) => `E_PROOF_${part}`)
  expect([...codes]).toEqual(expect.arrayContaining([...each, 'E_RECEIPT_FORGED']))
})

it('a flipped bit in any part of any line of the results is refused', async () => {
  for (const at of regionsOf(whole.results)) {
    expect(await flipped('results', at, at % 7), `bit ${at % 7} of byte ${at}`).toMatch(REFUSED)
  }
})

it('so is any bit anywhere, and any cut but for the last line end', async () => {
  const bytes = { receipts: Buffer.from(whole.receipts.join('')), results: Buffer.from(whole.results.join('')) }
  const which = fc.constantFrom('receipts' as const, 'results' as const)
  await fc.assert(
    fc.asyncProperty(
      which,
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.nat(7),
      async (file, part, bit) => {
        const at = Math.floor(part * bytes[file].length)
        expect(await flipped(file, at, bit)).toMatch(REFUSED)
        const cut = bytes[file].subarray(0, at)
        if (at < bytes[file].length - 1) expect(await refusal({ ...whole, [file]: cut })).toMatch(REFUSED)
      },
    ),
    { numRuns: 150 },
  )
  for (const file of ['receipts', 'results'] as const) {
    expect(await refusal({ ...whole, [file]: bytes[file].subarray(0, -1) })).toBe(null)
  }
})

it('a lying submitter changes nothing that workers signed by sealing it anew', async () => {
  const at = whole.receipts.findIndex((line) => line.startsWith('{"n":'))
  const line = whole.receipts[at] ?? ''
  const { receipt, signature, n } = JSON.parse(line)
  for (const field of [receipt, signature].map((text) => Buffer.from(text, 'base64'))) {
    for (let place = 0; place < field.length; place += Math.ceil(field.length / 24)) {
      const changed = Buffer.from(field)
      changed.writeUInt8(changed.readUInt8(place) ^ 1, place)
      const own =
        field.length === 64
          ? { receipt, signature: changed.toString('base64') }
          : { receipt: changed.toString('base64'), signature }
      const lines = whole.receipts.with(at, `${JSON.stringify({ n, ...own })}\n`)
      expect(await refusal({ ...whole, receipts: await resealed(whole, lines) })).toBe('E_RECEIPT_FORGED')
    }
  }
})
