/** Files that programs leave: collected where they ran, within bounds, and nothing that no tree can hold. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { collectedFiles } from '../../node/runtimes/program/collect.ts'
import { header } from '../../node/runtimes/tar-block.ts'
import { TreeStore } from '../../node/store/tree-store.ts'
import { UnitFiles } from '../../node/worker/unit-files.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Attempt } from '../../protocol/work.ts'
import { layDown } from './laid.ts'
import { eachWay, type Way } from './program-ways.ts'

const MIB = 1024 * 1024
const folder = mkdtempSync(join(tmpdir(), 'talkoot-outputs-'))
const trees = new TreeStore({ folder: join(folder, 'trees'), budgetBytes: 1024 * MIB })
afterAll(() => rmSync(folder, { recursive: true, force: true }))

type Left = { attempt: Attempt; files: Record<string, string> }

/** A shell script as a unit, and what it left: text by path. */
async function leftBy(
  open: Way['open'],
  script: string,
  outputs: string[],
  more: { inputs?: Record<string, string>; params?: object } = {},
): Promise<Left> {
  const laid = more.inputs === undefined ? null : await layDown(folder, more.inputs)
  const kept = new UnitFiles({ trees })
  const sandbox = open(
    { argv: ['sh', '-c', script], inputs: laid?.ref ?? null, outputs },
    { memoryMiB: 256, keepFiles: (...given) => kept.keep(...given), trees: laid?.trees ?? new Map() },
  )
  const attempts: Attempt[] = []
  const unit = { unit: 3, params: JSON.stringify(more.params ?? {}) }
  for await (const group of sandbox.run([unit], AbortSignal.timeout(180_000))) attempts.push(...group)
  await sandbox.close()
  const [attempt] = attempts
  if (attempt === undefined) throw new Error('no attempt')
  const held = kept.take(3)
  const files = held === undefined ? {} : textsOf(held.folder)
  held?.release()
  return { attempt, files }
}

const textsOf = (root: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .map((file) => [file.slice(root.length + 1), readFileSync(file, 'utf8')]),
  )

const said = (attempt: Attempt) => (attempt.ok ? JSON.parse(attempt.value) : attempt)

eachWay(({ runs, open }) => {
  const left = (...of: Parameters<typeof leftBy> extends [unknown, ...infer Rest] ? Rest : never) => leftBy(open, ...of)

  describe('files a program leaves', () => {
    runs('are those its globs match, and its value names them with their bytes', async () => {
      const script = 'mkdir out; echo 1 > out/a; echo 22 > "out/b c"; echo x > note; echo y > other; echo said'
      const { attempt, files } = await left(script, ['out', 'no?e', '{name}'], { params: { name: 'other' } })
      expect(files).toEqual({ 'out/a': '1\n', 'out/b c': '22\n', note: 'x\n', other: 'y\n' })
      expect(said(attempt)).toEqual({ stdout: 'said', files: { digest: expect.any(String), bytes: 9 } })
      const again = await left(script, ['other', 'note', 'out/'])
      expect(again.attempt).toEqual(attempt)
    })

    runs('or all, but for what it was given', async () => {
      const inputs = { 'in put.txt': 'given', 'data/x': 'given' }
      const { files } = await left('cat data/x > new; mkdir -p a/b; echo 1 > a/b/.hidden', ['.'], { inputs })
      expect(files).toEqual({ new: 'given', 'a/b/.hidden': '1\n' })
      expect((await left('cat data/x > new', ['*'], { inputs })).files).toEqual({ new: 'given' })
    })

    runs('are not looked for unless it ended well, and it ends as it ended', async () => {
      expect(said((await left('echo 1 > a; exit 3', ['.'])).attempt)).toMatchObject({
        code: 'E_EXIT',
        message: 'exit code 3',
      })
      expect(said((await left("echo 1 > a; sh -c 'kill -TERM $$'; exit $?", ['.'])).attempt).message).toContain(
        'SIGTERM',
      )
      expect(said((await left('sleep 100 & echo 1 > a', ['.'])).attempt)).toMatchObject({ stdout: '' })
    })

    runs('must be there', async () => {
      const { attempt } = await left('echo 1 > a', ['a', 'b*.csv'])
      expect(said(attempt)).toMatchObject({
        code: 'E_OUTPUT_MISSING',
        message: 'it wrote no "b*.csv"',
        blame: 'program',
      })
    })

    runs('must be readable for the unit itself', async () => {
      const { attempt, files } = await left('echo 1 > a; chmod 0 a', ['.'])
      expect(said(attempt)).toMatchObject({ code: 'E_EXIT', message: expect.stringContaining('Permission denied') })
      expect(files).toEqual({})
    })

    for (const glob of ['../x', '/etc/passwd', 'a/../../x', '-x', 'a\nb']) {
      runs(`are not named ${JSON.stringify(glob)}`, async () => {
        expect(said((await left('true', [glob])).attempt)).toMatchObject({ code: 'E_INPUT', blame: 'program' })
      })
    }
  })

  describe('refused, and the program told of, are', () => {
    const hostile: [string, string, RegExp, string?][] = [
      ['links out', 'ln -s /etc/passwd link', /"link" is a link/],
      ['links within', 'echo 1 > a; mkdir b; ln -s ../a b/c', /"b\/c" is a link/],
      ['what a link leads to', 'ln -s / out', /"out" is a link/, 'out/usr/bin/*'],
      ['what a link in a folder leads to', 'mkdir a; ln -s / a/out', /"a\/out" is a link/, 'a/out/usr/bin/env'],
      ['second names of a file', 'echo 1 > a; ln a b', /is a second name of another file/],
      ['pipes', 'mkfifo pipe', /"pipe" is a pipe/],
      ['ten gigabytes that take no room', 'truncate -s 10G sparse', /(too long|bytes of files)/],
      ['more than there may be', 'truncate -s 40M a; truncate -s 40M b', /bytes of files/],
      ['names with a line end', 'touch "a\nb"', /"a\\nb" has control characters/],
      ['names that control a terminal', 'touch "$(printf \'a\\033[2J\')"', /control characters/],
      ['names that are not UTF-8', 'touch "$(printf \'a\\377\')"', /not UTF-8/],
      ['names that a shell takes for an option', 'touch ./-rf', /begins with a dash/],
      ['names that differ in case only', 'touch a A', /differs from another in case only/],
      [
        'names without end',
        'd=$(printf %0200d 0); for i in 1 2 3 4 5 6 7 8 9; do mkdir $d && cd $d; done; touch x',
        /(too long a name|longer than)/,
      ],
    ]
    for (const [what, script, message, glob = '.'] of hostile) {
      runs(what, async () => {
        const { attempt, files } = await left(script, [glob])
        expect(said(attempt)).toMatchObject({ ok: false, code: 'E_TREE', blame: 'program' })
        expect(said(attempt).message).toMatch(message)
        expect(files).toEqual({})
      })
    }

    runs('more files than there may be', async () => {
      const { attempt } = await left(`seq ${LIMITS.UNIT_FILES_MAX + 1} | xargs touch`, ['.'])
      expect(said(attempt)).toMatchObject({ code: 'E_TREE', message: 'it left over 10000 files' })
    })

    runs('and nothing of them stays on the disk', async () => {
      expect(readdirSync(join(folder, 'trees')).filter((name) => name.startsWith('.'))).toEqual([])
    })
  })
})

describe('refused as well is', () => {
  const endless: [string, Buffer][] = [
    ['folders without end', header({ name: 'd/', type: '5', bytes: 0 })],
    [
      'long names without end',
      Buffer.concat([header({ name: '././@LongLink', type: 'L', bytes: 8 }), Buffer.alloc(512, 'n')]),
    ],
    ['what comes after its end', Buffer.alloc(1024)],
  ]
  it.each(endless)('an archive of %s', async (_, entry) => {
    const part = Buffer.concat(Array<Buffer>(2048).fill(entry))
    let sent = 0
    async function* forged() {
      yield Buffer.from('\n')
      for (; sent <= LIMITS.UNIT_ARCHIVE_MAX_BYTES + part.length; sent += part.length) yield part
      yield Buffer.alloc(512)
    }
    const files = await collectedFiles(forged())
    await expect(files?.next()).rejects.toMatchObject({
      code: 'E_TREE',
      message: expect.stringMatching(/an archive of over/),
    })
    expect(sent).toBeLessThanOrEqual(LIMITS.UNIT_ARCHIVE_MAX_BYTES)
  })
})
