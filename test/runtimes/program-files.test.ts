/** What programs bring: files in their folder, and folders at the places they had. */

import { execFileSync } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { SandboxInit } from '../../node/runtimes/runtime.ts'
import type { Program } from '../../protocol/command/program.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Attempt } from '../../protocol/work.ts'
import { collect, numbered } from './attempts.ts'
import { callProgram, type Entry, GETPID } from './call-program.ts'
import { laidFrom, layDown } from './laid.ts'
import { eachWay } from './program-ways.ts'

eachWay((way) => {
  const { runs } = way

  type Ran = { attempts: Attempt[]; logs: string[] }

  async function all(
    argv: string[],
    units: number,
    program: Partial<Program>,
    trees: SandboxInit['trees'],
  ): Promise<Ran> {
    const logs: string[] = []
    const onReport: SandboxInit['onReport'] = ({ stderr }) => logs.push(stderr)
    const sandbox = way.open({ argv, ...program }, { trees: trees ?? new Map(), onReport })
    const attempts = await collect(sandbox, numbered(units))
    await sandbox.close()
    return { attempts, logs }
  }

  runs('its files lie in its folder, and it cannot change them', async () => {
    const program = '#!/bin/sh\ncat data/a.txt; echo x > run.sh; echo x > data/b; echo y > out && cat out'
    const { ref, trees } = await layDown(way.folder, { 'run.sh': { program }, 'data/a.txt': 'A\n' })
    const { attempts, logs } = await all(['./run.sh'], 2, { inputs: ref }, trees)
    const expected = { ok: true, value: '{"stdout":"A\\ny"}' }
    expect(attempts).toEqual([
      { unit: 0, ...expected },
      { unit: 1, ...expected },
    ])
    expect(logs.every((text) => text.match(/Read-only file system/g)?.length === 2)).toBe(true)
  })

  for (const at of ['/home/u/env', '/tmp/env']) {
    runs(`a folder at ${at} lies where it lay, its programs before all others, its links as they were`, async () => {
      const program = `#!/bin/sh\necho brought $0; cat $(dirname $0)/../lib/word; echo x > ${at}/x`
      const { ref, trees } = await layDown(way.folder, { 'bin/env-tool': { program }, 'lib/word': 'word\n' })
      const folders = [{ at, tree: ref }]
      for (const name of ['env-tool', `${at}/bin/env-tool`]) {
        const { attempts, logs } = await all([name], 1, { folders }, trees)
        expect(attempts).toMatchObject([{ ok: false, message: expect.stringContaining('Read-only file system') }])
        expect(logs).toEqual([expect.stringContaining('Read-only')])
      }
      const { attempts } = await all(['sh', '-c', 'env-tool; echo $PATH'], 1, { folders }, trees)
      expect(attempts.map(textOf)).toEqual([`brought ${at}/bin/env-tool\nword\n${at}/bin:${PATH[way.kind]}`])
      const absent = await all([`${at}/bin/none`], 1, { folders }, trees)
      expect(absent.attempts).toMatchObject([
        way.kind === 'command'
          ? { code: 'E_PROGRAM_MISSING' }
          : { code: 'E_EXIT', message: expect.stringMatching(/^exit code 127/) },
      ])
      const after = await all(['sh', '-c', `ls ${at}; exit 3`], 1, {}, undefined)
      expect(after.logs).toEqual([expect.stringContaining('No such file')])
    })
  }

  runs('system calls by the entry of 32-bit programs are refused, those by its own are not', async () => {
    if (process.arch !== 'x64') return console.warn(`not run: 32-bit system calls: not of ${process.arch}`)
    const ends = async (entry: Entry) => {
      const program = callProgram(entry, GETPID[entry])
      const { ref, trees } = await layDown(way.folder, { call: { program } })
      return (await all(['./call'], 1, { inputs: ref }, trees)).attempts
    }
    expect(await ends('syscall')).toMatchObject([{ ok: true }])
    // Podman, and a kernel built without them, end it by a signal.
    expect(await ends('int 0x80')).toMatchObject([
      { ok: false, code: 'E_EXIT', message: expect.stringMatching(/^exit code 1$|SIGSEGV|SIGSYS/) },
    ])
  })

  runs('more names in its folder than may be are the fault of the task', async () => {
    const { ref, trees } = await layDown(way.folder, named(LIMITS.COMMAND_INPUTS_MAX + 1))
    const { attempts } = await all(['true'], 1, { inputs: ref }, trees)
    expect(attempts).toMatchObject([{ ok: false, code: 'E_SOURCE', blame: 'program' }])
  })

  runs('as many as may be are there', async () => {
    const { ref, trees } = await layDown(way.folder, named(LIMITS.COMMAND_INPUTS_MAX))
    const { attempts } = await all(['sh', '-c', 'ls | wc -l'], 1, { inputs: ref }, trees)
    expect(attempts.map(textOf)).toEqual([String(LIMITS.COMMAND_INPUTS_MAX)])
  })

  runs('each unit finds the files of its point beside those of all, read-only, and of no other', async () => {
    const all = await layDown(way.folder, { 'data/common/c': 'C', 'data/all': 'A', top: 'T', 'own.sh': 'never' })
    const points = await Promise.all(
      ['one', 'two'].map((word) =>
        layDown(way.folder, {
          [`data/${word}`]: word,
          'data/common/own': word,
          'deep/x': word,
          'own.sh': { program: `#!/bin/sh\necho I ${word}` },
        }),
      ),
    )
    const script =
      'find -L . /inputs/own -type f | sort; cat data/one data/two data/all data/common/*; ./own.sh; echo x > data/new; echo x > deep/x'
    const program = {
      argv: ['sh', '-c', script],
      inputs: all.ref,
      outputs: ['.'],
      pointInputs: { tree: all.ref, names: ['{x}'] },
    }
    const kept: string[] = []
    const keepFiles: SandboxInit['keepFiles'] = async (_, files) => {
      for await (const { path } of files) kept.push(path)
      return all.ref
    }
    const logs: string[] = []
    const onReport: SandboxInit['onReport'] = ({ stderr }) => logs.push(stderr)
    const sandbox = way.open(
      { ...program, argv: ['sh', '-c', `${script}; echo made > made`] },
      { trees: all.trees, onReport, keepFiles },
    )
    const files = (unit: number) => [...(points[unit]?.trees.values() ?? [])][0]
    const units = [0, 1, 2].map((unit) => ({ unit, params: '{"x":1}', ...(unit === 2 ? {} : { files: files(unit) }) }))
    const attempts: Attempt[] = []
    for await (const group of sandbox.run(units, AbortSignal.timeout(100_000))) attempts.push(...group)
    await sandbox.close()
    const found = (word: string) => [
      ...['./data/all', './data/common/c', './data/common/own', `./data/${word}`, './deep/x', './own.sh', './top'],
    ]
    const text = attempts.map(textOf)
    for (const [unit, word] of ['one', 'two'].entries()) {
      for (const path of found(word)) expect(text[unit]).toContain(path)
      expect(text[unit]).not.toContain(`./data/${word === 'one' ? 'two' : 'one'}\n`)
      expect(text[unit]).toContain(`${word}AC${word}I ${word}`)
      expect(logs[unit]?.match(/Read-only file system/g)).toHaveLength(2)
    }
    expect(text[2]).toContain('./data/all\n./data/common/c\n./own.sh\n./top\nAC')
    expect(kept).toEqual(['./made', './made', './made'].map((path) => expect.stringContaining(path.slice(2))))
  })

  runs('files of a point that have no place beside those of all fail the unit', async () => {
    const all = await layDown(way.folder, { data: 'a file' })
    const own = await layDown(way.folder, { 'data/x': 'in a folder' })
    const [files] = own.trees.values()
    const program = { argv: ['true'], inputs: all.ref, pointInputs: { tree: own.ref, names: ['{x}'] } }
    const sandbox = way.open(program, { trees: all.trees })
    const units = [{ unit: 0, params: '{"x":1}', ...(files === undefined ? {} : { files }) }]
    const attempts: Attempt[] = []
    for await (const group of sandbox.run(units, AbortSignal.timeout(100_000))) attempts.push(...group)
    await sandbox.close()
    expect(attempts).toMatchObject([{ ok: false, code: 'E_TREE' }])
  })

  if (way.kind === 'container') return

  runs('a Python virtual environment runs as it does where it was made', async () => {
    const place = join(way.folder, 'venv')
    try {
      execFileSync('/usr/bin/python3', ['-m', 'venv', '--without-pip', place])
    } catch (error) {
      return console.warn(`not run: a Python virtual environment: ${TalkootError.from(error).message}`)
    }
    const [version = ''] = await readdir(join(place, 'lib'))
    await writeFile(join(place, 'lib', version, 'site-packages', 'word.py'), 'WORD = "here"')
    const { ref, trees } = await laidFrom(place)
    const script = 'import sys, word; print(sys.prefix, word.WORD)'
    const folders = [{ at: '/home/u/venv', tree: ref }]
    const { attempts } = await all(['python', '-c', script], 1, { folders }, trees)
    expect(attempts.map(textOf)).toEqual(['/home/u/venv here'])
  })
})

/** Where programs are looked for beside what is brought. */
const PATH = { command: '/usr/local/bin:/usr/bin:/bin', container: '/bin' }

const textOf = (attempt: Attempt) => attempt.ok && JSON.parse(attempt.value).stdout

/** So many empty files. */
const named = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`f${at}`, '']))
