/** Files that Python scripts leave, in the memory of their sandbox: what programs may leave (`outputs.test.ts`), and nothing else. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPythonRuntime } from '../../node/runtimes/python/runtime.ts'
import type { Runtime } from '../../node/runtimes/runtime.ts'
import { encodeScript } from '../../protocol/python/script.ts'
import { type Left, leftBy } from './left.ts'
import { keptSnapshot } from './python-scripts.ts'

const DEADLINE_MS = 240_000
const keptIn = keptSnapshot()
const scratchDir = mkdtempSync(join(tmpdir(), 'talkoot-test-'))
let runtime: Runtime
beforeAll(async () => {
  runtime = createPythonRuntime({ scratchDir, keptIn })
  await runtime.probe(AbortSignal.timeout(DEADLINE_MS))
}, DEADLINE_MS)
afterAll(async () => {
  await runtime.stop()
  rmSync(scratchDir, { recursive: true, force: true })
})

const base64 = (text: string): string => Buffer.from(text).toString('base64')

async function left(text: string, outputs: string[], points: unknown[] = [{}]): Promise<Left[]> {
  const files = [
    { path: 'script.py', base64: base64(text) },
    { path: 'data/x', base64: base64('given') },
  ]
  return await leftBy(runtime, encodeScript({ v: 1, file: 'script.py', files, outputs }), { points })
}

const said = ({ attempt }: Left) => (attempt.ok ? JSON.parse(attempt.value) : `${attempt.code}: ${attempt.message}`)
const textsOf = ({ files }: Left) =>
  Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path, String(bytes)]))

const WRITE = `import os
def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w") as file: file.write(text)
`

describe('files a script leaves', () => {
  it('are those its globs match, of that unit alone, and its value names them with their bytes', async () => {
    const text = `${WRITE}
def unit(name):
    write("out/a", "1"), write("out/deep/b c", name), write("note", "x"), write(f"{name}.csv", "é"), write("other", ""), write(".hidden", "h")
    os.chmod("note", 0o755)
    return [name]
`
    const outputs = ['out/', 'no[a-z]e', '{name}.csv', '*h*er']
    const [one, two] = await left(text, outputs, [{ name: 'one' }, { name: 'two' }])
    if (one === undefined || two === undefined) throw new Error('no attempts')
    expect(textsOf(one)).toEqual({ 'out/a': '1', 'out/deep/b c': 'one', note: 'x', 'one.csv': 'é', other: '' })
    expect(one.executable).toEqual(['note'])
    expect(said(one)).toEqual({ value: ['one'], files: { digest: expect.stringMatching(/./), bytes: 7 } })
    expect(textsOf(two)).toMatchObject({ 'out/deep/b c': 'two', 'two.csv': 'é' })
    const [again] = await left(text, ['other', 'note', '*.csv', 'out'], [{ name: 'one' }])
    expect(again?.attempt).toEqual(one.attempt)
  })

  it('or all but for what it was given, with what it printed', async () => {
    const text = `${WRITE}write("new", open("data/x").read()); write("data/y", "y"); write("a/.b", ""); write("/tmp/z", "z"); print("said")`
    const [all] = await left(text, ['.'])
    expect(all && textsOf(all)).toEqual({ new: 'given', 'data/y': 'y', 'a/.b': '' })
    expect(all && said(all)).toMatchObject({ stdout: 'said', files: { bytes: 6 } })
  })

  it('are not looked for unless it ended well, and must be there', async () => {
    const text = `${WRITE}
def unit(x):
    write("a", "1")
    if x == 1: raise ValueError("boo")
    if x == 2: os.remove("a")
    return x
`
    const ends = await left(
      text,
      ['a', '*'],
      [0, 1, 2, 3].map((x) => ({ x })),
    )
    expect(ends.map((end) => [said(end), textsOf(end)])).toEqual([
      [{ value: 0, files: expect.anything() }, { a: '1' }],
      [expect.stringMatching(/^E_TASK_THREW: .*boo$/s), {}],
      ['E_OUTPUT_MISSING: it wrote no "a"', {}],
      [{ value: 3, files: expect.anything() }, { a: '1' }],
    ])
    const [named] = await left('', ['../x'])
    expect(named && said(named)).toMatch(/^E_INPUT: --out "..\/x" is not a plain relative path$/)
  })

  it('are whole, however large, and bounded', async () => {
    const text = `def unit(mib):
    with open("large", "wb") as file:
        for i in range(mib): file.write(bytes([i]) * 2 ** 20)
`
    const [large] = await left(text, ['large'], [{ mib: 20 }])
    const bytes = large?.files.large
    expect([bytes?.length, bytes?.at(0), bytes?.at(-1), bytes?.at(7.5 * 2 ** 20)]).toEqual([20 * 2 ** 20, 0, 19, 7])
  })

  const hostile: [string, string, RegExp][] = [
    ['links', 'os.symlink("/lib", "link")', /"link" is a link/],
    ['links within', 'write("a", "1"); os.symlink("a", "b")', /"b" is a link/],
    ['names with a line end', 'write("a\\nb", "")', /control characters/],
    ['names that a shell takes for an option', 'write("-rf", "")', /begins with a dash/],
    ['names that differ in case only', 'write("a", ""); write("A", "")', /in case only/],
    ['names without end', 'write("/".join(["d" * 200] * 15), "")', /(too long a name|longer than)/],
    ['more files than there may be', 'for i in range(10_001): write(str(i), "")', /it left over 10000 files/],
  ]
  it.each(hostile)('are refused: %s', async (_, does, message) => {
    const [end] = await left(`${WRITE}${does}`, ['.'])
    expect(end && said(end)).toMatch(new RegExp(`^E_TREE: .*${message.source}`))
    expect(end?.files).toEqual({})
  })

  it('are refused without harm to the units before and after', async () => {
    const text = `${WRITE}
def unit(x):
    write("fine", "fine")
    if x == 1: os.symlink("/lib", "link")
`
    const ends = await left(text, ['.'], [{ x: 0 }, { x: 1 }, { x: 2 }])
    expect(ends.map(said)).toEqual([
      { value: null, files: expect.anything() },
      'E_TREE: "link" is a link',
      said(ends[0] as Left),
    ])
  })
})
