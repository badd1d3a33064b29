/** Tar archives come in blocks; a header is one (POSIX.1-1988 `ustar`). */

export const BLOCK_BYTES = 512

/** With what follows up to the next block. */
export const padded = (bytes: number): number => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES

/** Where a field of a header begins, and the first byte beyond it. */
const FIELDS = {
  name: [0, 100],
  mode: [100, 108],
  uid: [108, 116],
  gid: [116, 124],
  bytes: [124, 136],
  time: [136, 148],
  sum: [148, 156],
  type: [156, 157],
  link: [157, 257],
  magic: [257, 265],
  prefix: [345, 500],
} as const

type Field = keyof typeof FIELDS

export const field = (block: Uint8Array, of: Field): Buffer => {
  const [from, to] = FIELDS[of]
  return Buffer.from(block.buffer, block.byteOffset + from, to - from)
}

/** A field up to its first zero. */
export function untilZero(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0)
  return end < 0 ? bytes : bytes.subarray(0, end)
}

/** Null where other than octal digits are written. */
export function octalOf(bytes: Buffer): number | null {
  const digits = untilZero(bytes).toString('latin1').trim()
  return /^[0-7]*$/.test(digits) ? Number.parseInt(digits || '0', 8) : null
}

/** The sum that a header has to say is its own. A loop: images have hundreds of thousands of headers. */
export function sumOf(block: Uint8Array): number {
  const [from, to] = FIELDS.sum
  // Its own place counts as blanks.
  let sum = (to - from) * 0x20
  for (let at = 0; at < BLOCK_BYTES; at++) if (at < from || at >= to) sum += block[at] ?? 0
  return sum
}

type Header = { name: string; type: string; bytes: number; link?: string; mode?: number }

/** Of something of root's, from the beginning of time. */
export function header({ name, type, bytes, link = '', mode = 0o755 }: Header): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES)
  const write = (of: Field, text: string): void => void field(block, of).write(text)
  const writeOctal = (of: Field, value: number): void => {
    const digits = FIELDS[of][1] - FIELDS[of][0] - 1
    write(of, value.toString(8).padStart(digits, '0'))
  }
  write('name', name)
  writeOctal('mode', mode)
  writeOctal('uid', 0)
  writeOctal('gid', 0)
  writeOctal('bytes', bytes)
  writeOctal('time', 0)
  write('type', type)
  write('link', link)
  write('magic', 'ustar\u000000')
  writeOctal('sum', sumOf(block))
  return block
}
