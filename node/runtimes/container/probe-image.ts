/** The smallest image that can run something: no files of its own but links into `/usr`, which is lent to it. */

import { createHash } from 'node:crypto'
import { existsSync, lstatSync, readlinkSync } from 'node:fs'
import { SYSTEM } from '../program/surroundings.ts'
import { BLOCK_BYTES, header, padded } from '../tar-block.ts'

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
  const padding = Buffer.alloc(padded(body.length) - body.length)
  return Buffer.concat([header({ name, type: '0', bytes: body.length, mode }), body, padding])
}
