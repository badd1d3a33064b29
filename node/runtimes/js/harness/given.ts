/**
 * The files the job brings, read where they lie, when a unit reads them: nothing of them is held in memory, however large they are.
 */

import type { Given } from '../frames.ts'
import { type HostFile, openFile } from './host.ts'

/** Open at once: the process may open few files. */
const OPEN_MAX = 8
/** One read of a unit that asks for more is given less. */
const PIECE_BYTES = 2 ** 20

export class GivenFile {
  readonly path: string
  readonly bytes: number
  readonly executable: boolean
  readonly #open: () => HostFile

  constructor([path, bytes, executable]: Given['files'][number], open: () => HostFile) {
    this.path = path
    this.bytes = bytes
    this.executable = executable
    this.#open = open
  }

  /** Fills a view from there on: all of it unless the file ends before. Returns how many bytes there were. */
  read(into: Uint8Array, at: number): number {
    const wanted = Math.max(0, Math.min(into.length, this.bytes - at))
    if (wanted === 0) return 0
    const file = this.#open()
    file.seekSync(at, 0)
    let filled = 0
    while (filled < wanted) {
      const count = file.readSync(into.subarray(filled, wanted))
      if (count === null) break
      filled += count
    }
    return filled
  }

  /** Fewer bytes than asked for where the file ends, or where that is a lot. */
  piece(at: number, bytes: number): Uint8Array {
    const piece = new Uint8Array(Math.max(0, Math.min(bytes, PIECE_BYTES, this.bytes - at)))
    return piece.subarray(0, this.read(piece, at))
  }

  *pieces(): Generator<Uint8Array> {
    for (let at = 0; at < this.bytes; ) {
      const piece = this.piece(at, PIECE_BYTES)
      if (piece.length === 0) throw new Error(`${this.path} is shorter than it was`)
      yield piece
      at += piece.length
    }
  }
}

/** `close` when nobody reads them any more. */
export function givenFiles({ folder, files }: Given): { files: GivenFile[]; close(): void } {
  /** Least recently read first. */
  const open = new Map<string, HostFile>()
  const opened = (path: string): HostFile => {
    const file = open.get(path) ?? openFile(`${folder}/${path}`)
    open.delete(path)
    open.set(path, file)
    for (const [oldest, other] of open) {
      if (open.size <= OPEN_MAX) break
      open.delete(oldest)
      other.close()
    }
    return file
  }
  const close = (): void => {
    for (const file of open.values()) file.close()
    open.clear()
  }
  return { files: files.map((facts) => new GivenFile(facts, () => opened(facts[0]))), close }
}
