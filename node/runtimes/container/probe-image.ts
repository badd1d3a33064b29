/** The smallest image that can run something: no files of its own but links into `/usr`, which is lent to it. */

import { createHash } from 'node:crypto'
import { existsSync, lstatSync, readlinkSync } from 'node:fs'

const SYSTEM = ['/usr', '/bin', '/lib', '/lib64']
const BLOCK_BYTES = 512

export type ProbeImage = {
  /** As `docker save` writes one. */
  archive: Buffer
  /** Folders of this machine that it needs to see. */
  binds: string[]
}

export function probeImage(): ProbeImage {
  const here = SYSTEM.filter((path) => existsSync(path))
  const binds = here.filter((path) => !lstatSync(path).isSymbolicLink())
  const folders = ['dev', 'etc', 'proc', 'run', 'sys', 'tmp', 'unit', ...binds.map((path) => path.slice(1))]
  const links = here.filter((path) => !binds.includes(path))
  const layer = tar([
    ...folders.map((name) => header({ name: `${name}/`, type: '5', bytes: 0 })),
    ...links.map((path) => header({ name: path.slice(1), type: '2', bytes: 0, link: readlinkSync(path) })),
  ])
  const config = JSON.stringify({
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
  })
  const names = { config: `${sha256(config)}.json`, layer: `${sha256(layer)}.tar` }
  const manifest = JSON.stringify([{ Config: names.config, RepoTags: null, Layers: [names.layer] }])
  const archive = tar([file('manifest.json', manifest), file(names.config, config), file(names.layer, layer)])
  return { archive, binds }
}

export const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex')

export const tar = (entries: readonly Buffer[]): Buffer => Buffer.concat([...entries, Buffer.alloc(2 * BLOCK_BYTES)])

export function file(name: string, content: string | Buffer, mode = 0o644): Buffer {
  const body = Buffer.from(content)
  const padding = Buffer.alloc((BLOCK_BYTES - (body.length % BLOCK_BYTES)) % BLOCK_BYTES)
  return Buffer.concat([header({ name, type: '0', bytes: body.length, mode }), body, padding])
}

type Header = { name: string; type: string; bytes: number; link?: string; mode?: number }

/** POSIX.1-1988 `ustar`. */
export function header({ name, type, bytes, link = '', mode = 0o755 }: Header): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES)
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0')
  block.write(name, 0)
  block.write(octal(mode, 7), 100)
  for (const at of [108, 116]) block.write(octal(0, 7), at)
  block.write(octal(bytes, 11), 124)
  block.write(octal(0, 11), 136)
  block.write('        ', 148)
  block.write(type, 156)
  block.write(link, 157)
  block.write('ustar\u000000', 257, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${octal(sum, 6)}\0 `, 148, 'latin1')
  return block
}
