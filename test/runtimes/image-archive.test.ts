/** What is in an image is bounded and checked before anything of it is unpacked. */

import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inspectArchive } from '../../node/runtimes/container/image-archive.ts'
import { file, sha256, tar } from '../../node/runtimes/container/probe-image.ts'
import { header } from '../../node/runtimes/tar-block.ts'
import { LIMITS } from '../../protocol/limits.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'talkoot-archive-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const CONFIG = JSON.stringify({ config: { Env: ['PATH=/opt/bin', 'A=1'] } })
const LAYER = tar([header({ name: 'bin/', type: '5', bytes: 0 }), file('bin/tool', 'x'.repeat(700))])

const docker = (layers: readonly Buffer[], manifest?: unknown): Buffer => {
  const names = layers.map((layer, i) => `${i}-${sha256(layer).slice(0, 8)}.tar`)
  const said = manifest ?? [{ Config: 'config.json', RepoTags: null, Layers: names }]
  const files = layers.map((layer, i) => file(names[i] ?? '', layer))
  return tar([...files, file('config.json', CONFIG), file('manifest.json', JSON.stringify(said))])
}

const oci = (layers: readonly Buffer[], more: object = {}): Buffer => {
  const blob = (content: string | Buffer) => file(`blobs/sha256/${sha256(content)}`, content)
  const named = (content: string | Buffer) => ({ digest: `sha256:${sha256(content)}` })
  const manifest = JSON.stringify({
    config: named(CONFIG),
    layers: layers.map((layer) => ({ ...named(layer), ...more })),
  })
  const index = JSON.stringify({ manifests: [named(manifest)] })
  return tar([...layers.map(blob), blob(CONFIG), blob(manifest), file('index.json', index)])
}

function inspect(archive: Buffer) {
  const path = join(folder, 'image.tar')
  writeFileSync(path, archive)
  return inspectArchive(path, AbortSignal.timeout(120_000))
}

/** What is said of the entry that follows. */
const pax = (records: string): Buffer =>
  tar([
    header({ name: 'x', type: 'x', bytes: records.length }),
    Buffer.concat([Buffer.from(records), Buffer.alloc(-records.length & 511)]),
    file('a', 'b'),
  ])

/** A layer that says it has so many bytes in one file. */
const claiming = (bytes: number): Buffer => header({ name: 'huge', type: '0', bytes })

describe('an archive', () => {
  it.each([
    ['of docker', docker([LAYER]), 'docker-archive'],
    ['of docker with compressed layers', docker([gzipSync(LAYER), zstdCompressSync(LAYER)]), 'docker-archive'],
    ['that is an OCI layout', oci([gzipSync(LAYER)]), 'oci-archive'],
    ['with as many layers as may be', docker(Array(LIMITS.IMAGE_LAYERS_MAX).fill(LAYER)), 'docker-archive'],
  ])('%s tells how it is read, its variables and what its layers take', async (_, archive, transport) => {
    const { layers, ...facts } = await inspect(archive)
    expect(facts).toEqual({ transport, env: ['PATH=/opt/bin', 'A=1'] })
    expect(new Set(layers)).toEqual(new Set([LAYER.length + 2 * LIMITS.TREE_FILE_COST_BYTES]))
  })

  it.each([
    ['plain', LAYER],
    ['compressed', gzipSync(LAYER)],
  ])('whose reading was aborted says so, and harms nothing else: %s', async (_, layer) => {
    const path = join(folder, 'image.tar')
    writeFileSync(path, docker([layer]))
    await expect(inspectArchive(path, AbortSignal.abort(new Error('enough')))).rejects.toThrow()
  })

  it.each([
    ['no archive', Buffer.alloc(2_000, 'a'), /not a tar archive/],
    ['nothing', Buffer.alloc(0), /not a tar archive/],
    ['no image', tar([file('a', 'b')]), /neither/],
    [
      'two images',
      docker(
        [LAYER],
        [0, 1].map(() => ({ Config: 'config.json', Layers: [] })),
      ),
      /one image/,
    ],
    ['a missing layer', docker([], [{ Config: 'config.json', Layers: ['gone.tar'] }]), /lacks its part/],
    ['a description of another shape', docker([], { a: 1 }), /another shape/],
    ['too many layers', docker(Array(LIMITS.IMAGE_LAYERS_MAX + 1).fill(LAYER)), /over 100 layers/],
    ['a file larger than images may be', docker([claiming(LIMITS.IMAGE_MAX_BYTES)]), /unpacks to over/],
    ['a layer whose compression is broken', docker([Buffer.concat([gzipSync(LAYER).subarray(0, 30), LAYER])]), /./],
    ['a sparse file', docker([header({ name: 'sparse', type: 'S', bytes: 0 })]), /sparse/],
    [
      'two compressed layers in one',
      docker([Buffer.concat([zstdCompressSync(LAYER), zstdCompressSync(LAYER)])]),
      /damaged/,
    ],
    ['two parts of one name', tar([file('manifest.json', '[]'), file('./manifest.json', '[]')]), /two parts/],
    [
      'layers under two names',
      docker([LAYER], [{ Config: 'config.json', Layers: [], layers: ['a'] }]),
      /another shape/,
    ],
    ['a layer to be had elsewhere', oci([LAYER], { urls: ['http://127.0.0.1/'] }), /another shape/],
    ['a sparse file told in another way', docker([pax('+23 GNU.sparse.major=1\n')]), /damaged/],
    ['a name that is too long', docker([pax(`5011 path=${'n'.repeat(5_000)}\n`)]), /too long/],
    ['a folder with content', docker([header({ name: 'a/', type: '\0', bytes: 512 })]), /folder with content/],
    ['a layer of rubbish', docker([Buffer.alloc(1_024, 7)]), /not a tar archive/],
  ])('with %s is refused', async (_, archive, says) => {
    await expect(inspect(archive)).rejects.toMatchObject({ code: 'E_IMAGE', message: expect.stringMatching(says) })
  })

  it('with more files than images may have is refused, however small it is', async () => {
    const many = Buffer.alloc(512 * (LIMITS.IMAGE_ENTRIES_MAX + 1), header({ name: 'a', type: '5', bytes: 0 }))
    const archive = docker([gzipSync(many, { level: 1 })])
    expect(archive.length).toBeLessThan(8 * 2 ** 20)
    await expect(inspect(archive)).rejects.toMatchObject({ code: 'E_IMAGE', message: /files and folders/ })
  })

  it('that breaks off is refused', async () => {
    const path = join(folder, 'broken.tar')
    const whole = docker([LAYER])
    writeFileSync(path, whole)
    truncateSync(path, whole.length - 1_200)
    await expect(inspectArchive(path, AbortSignal.timeout(120_000))).rejects.toMatchObject({ code: 'E_IMAGE' })
  })
})
