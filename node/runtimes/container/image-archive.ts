/**
 * What is in an image before anything of it is unpacked: layers, entries and bytes, each bounded. Archives as `docker save` and
 * `podman save` write them (`manifest.json`), or an OCI image layout (`index.json`, OCI image-spec 1.1) in a tar.
 */

import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { posix } from 'node:path'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { z } from 'zod'
import { parseToFirstFault } from '../../../protocol/first-fault.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import { BLOCK_BYTES, padded } from '../tar-block.ts'
import { damaged, TarHeaders } from './tar-headers.ts'

/**
 * The transport podman reads it by, the variables the image sets (`NAME=value`), and the bytes each layer takes of the disk,
 * lowest first.
 */
export type ImageFacts = { transport: 'docker-archive' | 'oci-archive'; env: string[]; layers: number[] }

type Member = { at: number; bytes: number }
type Members = ReadonlyMap<string, Member>

const MiB = 1024 * 1024
const JSON_MAX_BYTES = 4 * MiB
/** Long names and the like, in all layers. */
const EXTENDED_ALL_MAX_BYTES = 256 * MiB
/** Beside layers an archive holds a few descriptions of each. */
const MEMBERS_MAX = 4_096
const DIGEST = /^sha256:([0-9a-f]{64})$/

/** Others take names for these whatever their case: one that is almost so is refused. */
const exact = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.looseObject(shape).refine((object) => {
    const names = new Set(Object.keys(shape).map((name) => name.toLowerCase()))
    return Object.keys(object).every((name) => name in shape || !names.has(name.toLowerCase()))
  })

const dockerSchema = z.array(exact({ Config: z.string(), Layers: z.array(z.string()) }))
const descriptorSchema = exact({
  digest: z.string().regex(DIGEST),
  mediaType: z.string().optional(),
  /** Where else it may be had: nothing is asked there. */
  urls: z.array(z.never()).optional(),
})
const indexSchema = exact({ manifests: z.array(descriptorSchema) })
const manifestSchema = exact({ config: descriptorSchema, layers: z.array(descriptorSchema) })
const configSchema = z.object({
  config: z.object({ Env: z.array(z.string().max(LIMITS.COMMAND_ARGUMENT_MAX_CHARS)).nullish() }).nullish(),
})

/** @throws E_IMAGE */
export async function inspectArchive(path: string, signal: AbortSignal): Promise<ImageFacts> {
  const file = await open(path, 'r')
  try {
    const members = await membersOf(file, signal)
    const { transport, config, layers } = await partsOf(file, members)
    if (layers.length > LIMITS.IMAGE_LAYERS_MAX) throw damaged(`has over ${LIMITS.IMAGE_LAYERS_MAX} layers`)
    const { config: settings } = await jsonOf(file, memberOf(members, config), configSchema)
    const room = { entries: LIMITS.IMAGE_ENTRIES_MAX, bytes: LIMITS.IMAGE_MAX_BYTES, extended: EXTENDED_ALL_MAX_BYTES }
    const measured: number[] = []
    for (const layer of layers) {
      const before = { ...room }
      await measureLayer(path, memberOf(members, layer), room, signal)
      measured.push(before.bytes - room.bytes + (before.entries - room.entries) * LIMITS.TREE_FILE_COST_BYTES)
    }
    // Of one without a value podman would take that of its own, which are this node's.
    const env = (settings?.Env ?? []).filter((variable) => /^[^=\0]+=[^\0]*$/.test(variable))
    return { transport, env: env.slice(0, LIMITS.COMMAND_VARIABLES_MAX), layers: measured }
  } finally {
    await file.close()
  }
}

/** The files of the archive itself; a link counts as what it leads to. */
async function membersOf(file: FileHandle, signal: AbortSignal): Promise<Members> {
  const members = new Map<string, Member>()
  const links = new Map<string, string>()
  const headers = new TarHeaders()
  for (let at = 0, read = 0; ; read++) {
    signal.throwIfAborted()
    if (read > 4 * MEMBERS_MAX) throw damaged(`has over ${MEMBERS_MAX} parts`)
    const block = await readAt(file, at, headers.wanted ? headers.bodyBytes : BLOCK_BYTES)
    at += headers.wanted ? padded(headers.bodyBytes) : BLOCK_BYTES
    const entry = headers.next(block)
    if (entry === 'end') break
    if (entry === null) continue
    if (members.size + links.size >= MEMBERS_MAX) throw damaged(`has over ${MEMBERS_MAX} parts`)
    const name = posix.normalize(entry.name)
    if (members.has(name) || links.has(name)) throw damaged('has two parts of one name')
    if (entry.type === '2') links.set(name, posix.join(posix.dirname(name), entry.link))
    else if (entry.type === '1') links.set(name, posix.normalize(entry.link))
    else members.set(name, { at, bytes: entry.bytes })
    at += padded(entry.bytes)
  }
  for (const [name, to] of links) {
    const member = members.get(to)
    if (member !== undefined) members.set(name, member)
  }
  return members
}

type Parts = { transport: ImageFacts['transport']; config: string; layers: string[] }

async function partsOf(file: FileHandle, members: Members): Promise<Parts> {
  const docker = members.get('manifest.json')
  if (docker !== undefined) {
    const [image, ...others] = await jsonOf(file, docker, dockerSchema)
    if (image === undefined || others.length > 0) throw damaged('archive must hold one image')
    return {
      transport: 'docker-archive',
      config: posix.normalize(image.Config),
      layers: image.Layers.map(posix.normalize),
    }
  }
  const index = members.get('index.json')
  if (index === undefined) throw damaged('is neither an archive of docker or podman nor an OCI layout')
  const [image, ...others] = (await jsonOf(file, index, indexSchema)).manifests
  if (image === undefined || others.length > 0) throw damaged('archive must hold one image, for one platform')
  const { config, layers } = await jsonOf(file, memberOf(members, blobOf(image)), manifestSchema)
  return { transport: 'oci-archive', config: blobOf(config), layers: layers.map(blobOf) }
}

const blobOf = ({ digest }: { digest: string }): string => `blobs/sha256/${digest.slice('sha256:'.length)}`

function memberOf(members: Members, name: string): Member {
  const member = members.get(name)
  if (member === undefined) throw damaged(`lacks its part ${JSON.stringify(name.slice(0, 100))}`)
  return member
}

async function jsonOf<T>(file: FileHandle, { at, bytes }: Member, schema: z.ZodType<T>): Promise<T> {
  if (bytes > JSON_MAX_BYTES) throw damaged('has a description that is too long')
  let content: unknown
  try {
    content = JSON.parse((await readAt(file, at, bytes)).toString('utf8'))
  } catch {
    throw damaged('has a description that is no JSON')
  }
  const parsed = parseToFirstFault(schema, content)
  if (!parsed.success) throw damaged('has a description of another shape')
  return parsed.data
}

/** Takes from the room what a layer will take on disk; @throws E_IMAGE when it is not enough */
async function measureLayer(
  path: string,
  { at, bytes }: Member,
  room: { entries: number; bytes: number; extended: number },
  signal: AbortSignal,
): Promise<void> {
  if (bytes === 0) throw damaged('has an empty layer')
  const raw = createReadStream(path, { start: at, end: at + bytes - 1, highWaterMark: MiB, signal })
  // Aborted, it says so before it is read.
  raw.on('error', () => undefined)
  const unpacked = await unpack(path, at, raw)
  const headers = new TarHeaders()
  let skip = 0
  let gathered: Buffer = Buffer.alloc(0)
  try {
    for await (const part of unpacked as AsyncIterable<Buffer>) {
      room.bytes -= part.length
      if (room.bytes < 0) throw tooLarge()
      let chunk = part
      while (chunk.length > 0) {
        if (skip > 0) {
          const skipped = Math.min(skip, chunk.length)
          skip -= skipped
          chunk = chunk.subarray(skipped)
          continue
        }
        const wanted = headers.wanted ? padded(headers.bodyBytes) : BLOCK_BYTES
        const taken = chunk.subarray(0, wanted - gathered.length)
        gathered = gathered.length === 0 ? taken : Buffer.concat([gathered, taken])
        chunk = chunk.subarray(taken.length)
        if (gathered.length < wanted) continue
        const entry = headers.next(headers.wanted ? gathered.subarray(0, headers.bodyBytes) : gathered)
        gathered = Buffer.alloc(0)
        if (headers.wanted) {
          room.extended -= headers.bodyBytes + BLOCK_BYTES
          if (room.extended < 0) throw damaged('has too many headers')
        }
        if (entry === 'end') skip = Number.POSITIVE_INFINITY
        else if (entry !== null) {
          if (entry.bytes > room.bytes) throw tooLarge()
          skip = padded(entry.bytes)
          room.entries -= 1
          if (room.entries < 0) throw damaged(`has over ${LIMITS.IMAGE_ENTRIES_MAX} files and folders`)
        }
      }
    }
    // Others go on after the end of the first of several streams.
    if ('bytesWritten' in unpacked && unpacked.bytesWritten !== bytes) throw damaged('is damaged')
  } catch (error) {
    if (error instanceof Error && 'code' in error && /^(Z_|ZSTD_)/.test(String(error.code))) throw damaged('is damaged')
    throw error
  } finally {
    raw.destroy()
    if (unpacked !== raw) unpacked.destroy()
  }
}

const tooLarge = () => damaged(`unpacks to over ${LIMITS.IMAGE_MAX_BYTES} bytes`)

const GZIP = [0x1f, 0x8b]
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd]

async function unpack(path: string, at: number, raw: ReturnType<typeof createReadStream>) {
  const file = await open(path, 'r')
  const start = await readAt(file, at, ZSTD.length).finally(() => file.close())
  const begins = (magic: readonly number[]): boolean => magic.every((byte, i) => start[i] === byte)
  const unpacker = begins(GZIP) ? createGunzip() : begins(ZSTD) ? createZstdDecompress() : null
  if (raw.errored !== null) throw raw.errored
  if (unpacker === null) return raw
  raw.on('error', (error) => unpacker.destroy(error))
  return raw.pipe(unpacker)
}

async function readAt(file: FileHandle, at: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes)
  const { bytesRead } = await file.read(buffer, 0, bytes, at)
  if (bytesRead < bytes) throw damaged('is not a tar archive, or breaks off')
  return buffer
}
