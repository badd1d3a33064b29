/** `talkoot job receipts`: what proves a job's results, to a file or to standard output. */

import { createWriteStream } from 'node:fs'
import { access, constants, rename, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { onFile } from '../../files/file-error.ts'
import type { Context } from '../context.ts'
import { bytes, plural } from '../render/figures.ts'
import { facts } from '../render/grid.ts'
import type { View } from '../render/view.ts'

type Written = { schema: 'talkoot.receipts-written/1'; job: string; file: string; receipts: number; bytes: number }

export async function receipts(context: Context, id: string, { out }: { out?: string }): Promise<undefined> {
  const { mesh, io, output, signal } = context
  const job = await mesh.attach(id)
  if (out === undefined) {
    for await (const line of job.receipts({ signal })) await io.stdout.write(line)
    return
  }
  const file = resolve(io.cwd, out)
  await onFile(file, () => access(dirname(file), constants.W_OK))
  const written: Written = { schema: 'talkoot.receipts-written/1', job: job.id, file, receipts: 0, bytes: 0 }
  await onFile(file, () => writeWhole(file, counted(job.receipts({ signal }), written)))
  await output.show(written, writtenView)
}

/** A file appears under its name only when it is whole. */
async function writeWhole(file: string, lines: AsyncIterable<string>): Promise<void> {
  const part = `${file}.${process.pid}.part`
  try {
    await pipeline(Readable.from(lines), createWriteStream(part))
    await rename(part, file)
  } finally {
    await rm(part, { force: true })
  }
}

async function* counted(lines: AsyncIterable<string>, written: Written): AsyncGenerator<string> {
  for await (const line of lines) {
    if (line.startsWith('{"n":')) written.receipts += 1
    written.bytes += Buffer.byteLength(line)
    yield line
  }
}

const writtenView: View<Written> = {
  ids: ({ file }) => [file],
  text: (written, { colours }) =>
    facts(
      [
        ['job', written.job],
        ['receipts', plural(written.receipts, 'receipt')],
        ['file', `${written.file}, ${bytes(written.bytes)}`],
        ['check', `talkoot verify RESULTS.jsonl --receipts ${written.file}`],
      ],
      colours,
    ),
}
