/** An image to test with, made as the example makes one. */

import { execFile } from 'node:child_process'
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { LaidTree } from '../../node/runtimes/runtime.ts'
import { type Digest, digestOf } from '../../protocol/canonical.ts'
import { encodeContainer } from '../../protocol/command/container.ts'
import type { Program } from '../../protocol/command/program.ts'
import type { TreeRef } from '../../protocol/data/tree.ts'

const run = promisify(execFile)
const SCRIPT = join(import.meta.dirname, '../../examples/container/image.sh')

export type TestImage = { ref: TreeRef; trees: Map<Digest, LaidTree>; archive: string }

/** In a folder of its own below the one given. @throws when there is no busybox to make one of */
export async function makeImage(parent: string, name = 'image'): Promise<TestImage> {
  const folder = join(parent, name)
  await mkdir(folder, { recursive: true })
  const archive = join(folder, 'app.tar')
  await run('sh', [SCRIPT, archive])
  return await imageAt(folder, 'app.tar')
}

/** The file as a tree; nobody looks at its chunks here. */
export async function imageAt(folder: string, path: string): Promise<TestImage> {
  const archive = join(folder, path)
  const { size: bytes } = await stat(archive)
  const digest = digestOf(new TextEncoder().encode(archive))
  const files = [{ path, bytes, executable: false, chunks: new Uint8Array() }]
  const laid = { folder, layout: { tree: { v: 1, files } } } as unknown as LaidTree
  return { ref: { digest, bytes }, trees: new Map([[digest, laid]]), archive }
}

export const inImage = (image: TreeRef, program: Partial<Program> & Pick<Program, 'argv'>): string =>
  encodeContainer({ v: 1, image, program: { v: 1, env: {}, stdin: null, inputs: null, ...program } })

/** Shell lines in the image, with x as `$1`. */
export const imageShell = (image: TreeRef, lines: string): string =>
  inImage(image, { argv: ['sh', '-c', lines, 'sh', '{x}'] })
