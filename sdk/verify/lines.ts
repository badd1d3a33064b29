/** The lines of a file that anybody may have written: bounded, and each exactly the JSON it says. */

import { createReadStream } from 'node:fs'
import type { z } from 'zod'
import { onFile } from '../../node/files/file-error.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'

/** One line, its end included where there is one. */
export type Line = { at: number; bytes: Buffer }

const NEWLINE = 10

/** @throws E_FILE, and E_PROOF_FORM for a line that is too long */
export async function* linesOf(file: string, signal: AbortSignal | undefined): AsyncGenerator<Line> {
  const stream = createReadStream(file, signal === undefined ? {} : { signal })
  const chunks = stream[Symbol.asyncIterator]()
  let at = 0
  let held: Buffer[] = []
  let heldBytes = 0
  try {
    for (;;) {
      const { done, value } = await onFile(file, () => chunks.next())
      if (done === true) break
      const chunk: Buffer = value
      let from = 0
      for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
        const bytes = Buffer.concat([...held, chunk.subarray(from, end + 1)])
        held = []
        heldBytes = 0
        from = end + 1
        at += 1
        yield { at, bytes }
      }
      held.push(chunk.subarray(from))
      heldBytes += chunk.length - from
      if (heldBytes > LIMITS.API_LINE_MAX_CHARS) throw form(file, at + 1, 'is too long')
    }
    if (heldBytes > 0) yield { at: at + 1, bytes: Buffer.concat(held) }
  } finally {
    stream.destroy()
  }
}

/**
 * What a line says. It must be written as JSON.stringify writes it: then no two readers take it for different things.
 * @throws E_PROOF_FORM
 */
export function parseLine(file: string, { at, bytes }: Line): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\n$/, '')
    const value: unknown = JSON.parse(text)
    if (JSON.stringify(value) === text) return value
  } catch {
    throw form(file, at, 'is no JSON')
  }
  throw form(file, at, 'is not written as talkoot writes it')
}

/** @throws E_PROOF_FORM */
export function readLine<T extends z.ZodType>(schema: T, file: string, { at }: Line, value: unknown): z.output<T> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw form(file, at, `has another form: ${[...(issue?.path ?? []), issue?.message].join(' ')}`)
}

const form = (file: string, at: number, why: string) =>
  new TalkootError('E_PROOF_FORM', `line ${at} of ${file} ${why}`, { meta: { file, line: at } })
