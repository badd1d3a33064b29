/** Files that Python scripts are given, read where they lie, and those they leave: what programs may leave (`outputs.test.ts`), and nothing else. */

import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { collect } from './attempts.ts'
import { laidSparse, layDown } from './laid.ts'
import { type Left, leftBy } from './left.ts'
import { script, startedPython } from './python-scripts.ts'

const { runtime, scratchDir } = startedPython()

async function left(text: string, outputs: string[], points: unknown[] = [{}]): Promise<Left[]> {
  const { ref, trees } = await layDown(scratchDir, { 'data/x': 'given' })
  return await leftBy(runtime, script(text, { inputs: ref, outputs }), { points, trees })
}

const said = ({ attempt }: Left) => (attempt.ok ? JSON.parse(attempt.value) : `${attempt.code}: ${attempt.message}`)
const textsOf = ({ files }: Left) =>
  Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path, String(bytes)]))

/** `tally`, with a function `twice`. */
const WHEEL = Buffer.from(
  'UEsDBBQAAAAAAAAAIVAP1QCPHwAAAB8AAAARAAAAdGFsbHkvX19pbml0X18ucHlkZWYgdHdpY2UoeCk6CiAgICByZXR1cm4gMiAqIHgKUEsDBBQAAAAA' +
    'AAAAIVAuKAKALwAAAC8AAAAcAAAAdGFsbHktMS4wLmRpc3QtaW5mby9NRVRBREFUQU1ldGFkYXRhLVZlcnNpb246IDIuMQpOYW1lOiB0YWxseQpWZX' +
    'JzaW9uOiAxLjAKUEsDBBQAAAAAAAAAIVB7g7/BOwAAADsAAAAZAAAAdGFsbHktMS4wLmRpc3QtaW5mby9XSEVFTFdoZWVsLVZlcnNpb246IDEuMApS' +
    'b290LUlzLVB1cmVsaWI6IHRydWUKVGFnOiBweTMtbm9uZS1hbnkKUEsBAhQDFAAAAAAAAAAhUA/VAI8fAAAAHwAAABEAAAAAAAAAAAAAAIABAAAAAH' +
    'RhbGx5L19faW5pdF9fLnB5UEsBAhQDFAAAAAAAAAAhUC4oAoAvAAAALwAAABwAAAAAAAAAAAAAAIABTgAAAHRhbGx5LTEuMC5kaXN0LWluZm8vTUVU' +
    'QURBVEFQSwECFAMUAAAAAAAAACFQe4O/wTsAAAA7AAAAGQAAAAAAAAAAAAAAgAG3AAAAdGFsbHktMS4wLmRpc3QtaW5mby9XSEVFTFBLBQYAAAAAAw' +
    'ADANAAAAApAQAAAAA=',
  'base64',
)

type Laid = Awaited<ReturnType<typeof layDown>>

/** The values of units that are given files, or their codes and messages. */
async function given({ ref, trees }: Laid, text: string, points: unknown[] = [{}]): Promise<unknown[]> {
  const source = script(text, { inputs: ref })
  const sandbox = runtime.open({ source, trees, seed: 7, cpus: 1, memoryMiB: 64, timeoutMs: 120_000 })
  const attempts = await collect(sandbox, points)
  await sandbox.close()
  return attempts.map((attempt) => (attempt.ok ? JSON.parse(attempt.value) : `${attempt.code}: ${attempt.message}`))
}

describe('files a script is given', () => {
  it('lie beside it: data, modules, and wheels that can be imported', async () => {
    const text = [
      'import json, tally',
      'from model import shift',
      'from talkoot import unit as index, seed',
      'def unit(x):',
      '    return [tally.twice(x), shift(x), json.load(open("data/table.json")), index, seed]',
    ].join('\n')
    const files = {
      'tally-1.0-py3-none-any.whl': WHEEL,
      'model.py': 'def shift(x): return x - 1',
      'data/table.json': '[1, 2]',
      // What the task itself holds is what is run.
      'script.py': 'raise ValueError("another")',
    }
    expect(await given(await layDown(scratchDir, files), text, [{ x: 1 }, { x: 2 }])).toEqual([
      [2, 0, [1, 2], 0, 7],
      [4, 1, [1, 2], 1, 7],
    ])
  })

  it('are read where they lie: one of many times the memory there is, from any place', async () => {
    const laid = laidSparse(scratchDir, { 'large.bin': 3 * 2 ** 30 }, 'the end')
    const text = `import mmap, os
def unit(x):
    file = open("large.bin", "rb")
    file.seek(-7, 2)
    end = file.read().decode()
    again = os.pread(file.fileno(), 100, 3 * 2 ** 30 - 7).decode()
    file.seek(10 ** 9)
    zeros = sum(file.read(2 ** 20).count(0) for _ in range(100)) // 2 ** 20
    with mmap.mmap(file.fileno(), 2 ** 20, access=mmap.ACCESS_READ, offset=3 * 2 ** 30 - 2 ** 20) as mapped:
        last = mapped[-3:].decode()
    found = [os.path.getsize("large.bin"), end, again, zeros, last]
    os.remove("large.bin")
    out, written = os.open("out", os.O_CREAT | os.O_WRONLY), 0
    try:
        while True: written += os.write(out, bytes(2 ** 20))
    except OSError:
        return [*found, written]
`
    const points = [{ x: 0 }, { x: 1 }]
    expect(await given(laid, text, points)).toEqual(
      points.map(() => [3 * 2 ** 30, 'the end', 'the end', 100, 'end', LIMITS.PYTHON_WRITTEN_MAX_BYTES]),
    )
  })

  it('are not to be changed, and what a unit does with their names is gone with it', async () => {
    const text = `import os, shutil
def tries(*ways):
    for way in ways:
        try:
            way()
            yield "done"
        except OSError as error:
            yield error.strerror
def unit(x):
    seen = [sorted(os.listdir("data")), open("data/a").read(), oct(os.stat("data/run").st_mode), os.stat("data/a").st_mtime]
    changed = list(tries(
        lambda: open("data/a", "w"), lambda: open("data/a", "r+"), lambda: open("data/a", "ab"), lambda: os.truncate("data/a", 0),
        lambda: os.chmod("data/a", 0o777), lambda: os.utime("data/a")))
    shutil.copyfile("data/a", "data/copy")
    open("data/copy", "a").write("!")
    os.rename("data/a", "data/b")
    os.remove("data/run")
    for _ in range(70): shutil.copyfile("data/large", "data/again"); os.remove("data/again")
    return [seen, changed, open("data/copy").read(), open("data/b").read(), sorted(os.listdir("data"))]
`
    const files = { 'data/a': 'text', 'data/run': { program: '#' }, 'data/large': Buffer.alloc(2 ** 20) }
    const refused = 'Read-only file system'
    const one = [
      [['a', 'large', 'run'], 'text', '0o100755', expect.any(Number)],
      [refused, refused, refused, refused, refused, refused],
      'text!',
      'text',
      ['b', 'copy', 'large'],
    ]
    const [first, second] = await given(await layDown(scratchDir, files), text, [{ x: 1 }, { x: 2 }])
    expect(first).toEqual(one)
    expect(second).toEqual(first)
  })

  it('may be as many as are ever sent, but no links', async () => {
    // More are read, and held open, than its process may open.
    const text = [
      'import os',
      'def unit():',
      '    held = [open(f"many/{x}") for x in range(100)]',
      '    return [len(os.listdir("many")), sum(len(file.read()) for file in held)]',
    ].join('\n')
    const names = Array.from({ length: LIMITS.SANDBOX_INPUT_FILES_MAX }, (_, at) => [`many/${at}`, 7])
    const many = laidSparse(scratchDir, Object.fromEntries(names), 'the end')
    expect(await given(many, text)).toEqual([[names.length, 700]])
    const linked = laidSparse(scratchDir, { 'many/a': 0 }, '', [{ path: 'many/b', to: 'a' }])
    expect(await given(linked, text)).toEqual([expect.stringMatching(/^E_TREE: many\/b is a link/)])
  })

  it('cannot lie where others do', async () => {
    const [end] = await given(await layDown(scratchDir, { 'script.py/x': '' }), 'def unit(): return 1')
    expect(end).toMatch(/^E_SOURCE/)
  })
})

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

  it('or what it was given, under another name', async () => {
    const [moved] = await left('import os\nos.rename("data", "mine")', ['.'])
    expect(moved && textsOf(moved)).toEqual({ 'mine/x': 'given' })
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

describe('files of a point', () => {
  it('lie beside those of all in its unit alone, and cannot be changed', async () => {
    const all = await layDown(scratchDir, { 'data/all': 'A' })
    const laid = async (files: Record<string, string>) => [...(await layDown(scratchDir, files)).trees.values()][0]
    const own = [
      await laid({ 'data/one': '1', 'deep/x': 'first' }),
      await laid({ 'data/two': '22', 'deep/x': 'second' }),
      undefined,
      await laid({ 'data/all/x': 'no place' }),
      await laid({ 'deep/x': 'last' }),
    ]
    const text = `
import os
def unit(n):
    found = sorted(os.path.join(at, name) for at, _, names in os.walk('.') for name in names if name != 'script.py')
    try: open('deep/x', 'w')
    except OSError as e: refused = e.strerror
    else: refused = None
    return [found, open('data/all').read(), open('deep/x').read(), refused]
`
    const source = script(text, { inputs: all.ref, pointInputs: { tree: all.ref, names: ['{n}'] } })
    const units = own.map((files, unit) => ({
      unit,
      params: `{"n":${unit}}`,
      ...(files === undefined ? {} : { files }),
    }))
    const left = await leftBy(runtime, source, { units, trees: all.trees, memoryMiB: 64 })
    const refused = 'Read-only file system'
    expect(left.map(said)).toEqual([
      [['./data/all', './data/one', './deep/x'], 'A', 'first', refused],
      [['./data/all', './data/two', './deep/x'], 'A', 'second', refused],
      expect.anything(),
      expect.stringContaining('E_TREE'),
      [['./data/all', './deep/x'], 'A', 'last', refused],
    ])
  })
})
