/**
 * How far a process had come in its frame when it died. Ends are written in groups, so the last group received does
 * not say which call killed it. The process appends one byte to its stderr for each call that ended; stderr is an
 * unlinked file, so that costs no wake-up here, and is read only after a death. V8 writes its last words there too.
 */

import { closeSync, fstatSync, ftruncateSync, openSync, readSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { ENDED_MARK } from './frames.ts'

const ENDED = String.fromCharCode(ENDED_MARK)
const LAST_WORDS_MAX_BYTES = 64 * 1024

export class Progress {
  readonly fd: number

  /** @param name unique within the folder while the file is being opened */
  constructor(folder: string, name: string) {
    const path = join(folder, name)
    this.fd = openSync(path, 'ax+', 0o600)
    unlinkSync(path)
  }

  /** Before each frame. */
  reset(): void {
    ftruncateSync(this.fd, 0)
  }

  read(): { callsEnded: number; lastWords: string } {
    const bytes = Buffer.alloc(Math.min(fstatSync(this.fd).size, LAST_WORDS_MAX_BYTES))
    const text = bytes.subarray(0, readSync(this.fd, bytes, 0, bytes.length, 0)).toString('latin1')
    return { callsEnded: text.split(ENDED).length - 1, lastWords: text.replaceAll(ENDED, '') }
  }

  close(): void {
    closeSync(this.fd)
  }
}
