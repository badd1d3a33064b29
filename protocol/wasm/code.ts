/**
 * Looks through the code of a function for instructions whose results the specification leaves to the processor: those of
 * "relaxed" vectors, which multiply and add in one rounding or in two as it has it. All others give the same bits everywhere, but
 * for signs and payloads of NaN. Instructions are skipped by what follows them (core specification 3.0, "Instructions").
 */

import { TalkootError } from '../errors.ts'
import type { Reader } from './reader.ts'

type Skip = (from: Reader) => void

const nothing: Skip = () => undefined
const one: Skip = (from) => from.skipNumber()
const two: Skip = (from) => {
  from.skipNumber()
  from.skipNumber()
}
const bytes =
  (count: number): Skip =>
  (from) =>
    from.skip(count)

/** A type, or where one is. References have their heap type after them. */
const type: Skip = (from) => {
  const first = from.byte()
  if (first === 0x63 || first === 0x64) from.skipNumber()
  else if (first >= 0x80) from.skipNumber()
}

const HAS_MEMORY_INDEX = 0x40
const place: Skip = (from) => {
  if ((from.unsigned() & HAS_MEMORY_INDEX) !== 0) from.skipNumber()
  from.skipNumber()
}

const handlers: Skip = (from) => {
  type(from)
  from.list(() => {
    const CATCH_ALL = 2
    if (from.byte() < CATCH_ALL) from.skipNumber()
    from.skipNumber()
  })
}

const branches: Skip = (from) => {
  from.list(one)
  from.skipNumber()
}

/** By first and last opcode. */
const PLAIN: readonly [first: number, last: number, skip: Skip][] = [
  [0x00, 0x01, nothing],
  [0x02, 0x04, type],
  [0x05, 0x05, nothing],
  [0x06, 0x06, type],
  [0x07, 0x09, one],
  [0x0a, 0x0b, nothing],
  [0x0c, 0x0d, one],
  [0x0e, 0x0e, branches],
  [0x0f, 0x0f, nothing],
  [0x10, 0x10, one],
  [0x11, 0x11, two],
  [0x12, 0x12, one],
  [0x13, 0x13, two],
  [0x14, 0x15, one],
  [0x18, 0x18, one],
  [0x19, 0x1b, nothing],
  [0x1c, 0x1c, (from) => from.list(type)],
  [0x1f, 0x1f, handlers],
  [0x20, 0x26, one],
  [0x28, 0x3e, place],
  [0x3f, 0x42, one],
  [0x43, 0x43, bytes(4)],
  [0x44, 0x44, bytes(8)],
  [0x45, 0xc4, nothing],
  [0xd0, 0xd0, one],
  [0xd1, 0xd1, nothing],
  [0xd2, 0xd2, one],
  [0xd3, 0xd4, nothing],
  [0xd5, 0xd6, one],
  [0xfc, 0xfc, (from) => prefixed(from, BULK, 'bulk')],
  [0xfd, 0xfd, (from) => prefixed(from, VECTOR, 'vector')],
]

const BULK: typeof PLAIN = [
  [0, 7, nothing],
  [8, 8, two],
  [9, 9, one],
  [10, 10, two],
  [11, 11, one],
  [12, 12, two],
  [13, 13, one],
  [14, 14, two],
  [15, 17, one],
]

/** Those from 256 on are the relaxed ones. */
const VECTOR: typeof PLAIN = [
  [0, 11, place],
  [12, 13, bytes(16)],
  [14, 20, nothing],
  [21, 34, bytes(1)],
  [35, 83, nothing],
  [
    84,
    91,
    (from) => {
      place(from)
      from.skip(1)
    },
  ],
  [92, 93, place],
  [94, 255, nothing],
]

const SKIPS: readonly (Skip | undefined)[] = Array.from(
  { length: 256 },
  (_, opcode) => PLAIN.find(([first, last]) => opcode >= first && opcode <= last)?.[2],
)

/** @throws E_SOURCE naming the instruction: also one of threads or of the garbage collector, which are not known here */
export function checkFunction(from: Reader): void {
  from.list(() => {
    from.skipNumber()
    type(from)
  })
  while (!from.ended) {
    const opcode = from.byte()
    const skip = SKIPS[opcode]
    if (skip === undefined) throw refused(`0x${opcode.toString(16)}`)
    skip(from)
  }
}

function prefixed(from: Reader, skips: typeof PLAIN, family: string): void {
  const code = from.unsigned()
  const skip = skips.find(([first, last]) => code >= first && code <= last)?.[2]
  if (skip === undefined) throw refused(`${code} of the ${family} ones`)
  skip(from)
}

const refused = (instruction: string): TalkootError =>
  new TalkootError(
    'E_SOURCE',
    `the module has the instruction ${instruction}, whose result may differ between machines (no relaxed SIMD, threads or GC)`,
  )
