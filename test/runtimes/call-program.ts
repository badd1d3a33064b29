/** The smallest program there is that makes one system call, written byte by byte: no machine needs a compiler for it. */

/** Of x86-64: its own way into the kernel, and the one of 32-bit programs, where calls go by other numbers. */
const ENTRIES = { syscall: [0x0f, 0x05], 'int 0x80': [0xcd, 0x80] }
export type Entry = keyof typeof ENTRIES

/** `getpid` by each entry's numbers. */
export const GETPID: Record<Entry, number> = { syscall: 39, 'int 0x80': 20 }

const EXIT = 60
const LOADED_AT = 0x400000
const HEADER_BYTES = 64
const SEGMENT_BYTES = 56

/** An ELF file that exits with 0 if the call was made, with 1 if it was refused. */
export function callProgram(entry: Entry, call: number): Buffer {
  const code = Buffer.from([
    ...[0xb8, call, 0, 0, 0], // mov eax, call
    ...ENTRIES[entry],
    ...[0x89, 0xc7], // mov edi, eax
    ...[0xc1, 0xef, 31], // shr edi, 31: the sign, which is set of errors
    ...[0xb8, EXIT, 0, 0, 0], // mov eax, EXIT
    ...ENTRIES.syscall,
  ])
  const start = HEADER_BYTES + SEGMENT_BYTES
  const size = start + code.length
  const header = Buffer.alloc(start)
  // 64 bits, little-endian, version 1; an executable for x86-64 with one segment.
  header.set([0x7f, ...Buffer.from('ELF'), 2, 1, 1])
  for (const [at, value] of [
    [16, 2],
    [18, 62],
    [52, HEADER_BYTES],
    [54, SEGMENT_BYTES],
    [56, 1],
  ] as const) {
    header.writeUInt16LE(value, at)
  }
  header.writeUInt32LE(1, 20)
  header.writeBigUInt64LE(BigInt(LOADED_AT + start), 24)
  header.writeBigUInt64LE(BigInt(HEADER_BYTES), 32)
  // The segment: the whole file, to be read and executed.
  const segment = header.subarray(HEADER_BYTES)
  segment.writeUInt32LE(1, 0)
  segment.writeUInt32LE(5, 4)
  for (const at of [16, 24]) segment.writeBigUInt64LE(BigInt(LOADED_AT), at)
  for (const at of [32, 40]) segment.writeBigUInt64LE(BigInt(size), at)
  segment.writeBigUInt64LE(0x1000n, 48)
  return Buffer.concat([header, code])
}
