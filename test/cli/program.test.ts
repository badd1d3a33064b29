/** What bin/talkoot.js runs: a build of the sources as they are now, or the sources where none can be made. */

import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')

let checkout: string

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'talkoot-checkout-'))
  for (const name of ['bin', 'node', 'protocol', 'sdk', 'examples', 'package.json', 'package-lock.json']) {
    cpSync(join(ROOT, name), join(checkout, name), { recursive: true })
  }
  mkdirSync(join(checkout, 'node_modules'))
  for (const name of readdirSync(join(ROOT, 'node_modules')).filter((name) => !name.startsWith('.'))) {
    symlinkSync(join(ROOT, 'node_modules', name), join(checkout, 'node_modules', name))
  }
})

afterEach(() => rmSync(checkout, { recursive: true, force: true }))

async function version(): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(checkout, 'bin/talkoot.js'), 'version'])
  return stdout.split(' ')[1] ?? ''
}

function builds(): string[] {
  const all = join(checkout, 'node_modules/.cache/talkoot')
  return readdirSync(all).flatMap((name) => readdirSync(join(all, name)))
}

function setVersion(version: string): void {
  const file = join(checkout, 'package.json')
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), version }))
}

it('is built once, by any number that start at the same time', async () => {
  const [first] = await Promise.all([version(), version(), version()])
  await version()
  expect(first).toMatch(/^\d/)
  expect(builds()).toHaveLength(1)
})

it('takes one byte a character: V8 keeps its text, and takes two for all of one that is not ASCII', async () => {
  await version()
  const [folder = ''] = readdirSync(join(checkout, 'node_modules/.cache/talkoot'), {
    recursive: true,
    encoding: 'utf8',
  })
    .filter((path) => path.endsWith('main.js'))
    .map((path) => dirname(join(checkout, 'node_modules/.cache/talkoot', path)))
  const texts = readdirSync(folder).filter((name) => name.endsWith('.js'))
  expect(texts.length).toBeGreaterThan(1)
  expect(texts.filter((name) => /[^\0-\x7f]/.test(readFileSync(join(folder, name), 'utf8')))).toEqual([])
})

it('is built again when a source has changed, and keeps few builds', async () => {
  for (let minor = 1; minor <= 6; minor++) {
    setVersion(`9.${minor}.0`)
    expect(await version()).toBe(`9.${minor}.0`)
  }
  expect(builds()).toHaveLength(4)
})

it('is the sources themselves where nothing can be kept', async () => {
  writeFileSync(join(checkout, 'node_modules/.cache'), 'not a folder')
  setVersion('9.9.9')
  expect(await version()).toBe('9.9.9')
})

it('is the sources themselves where they cannot be built', async () => {
  writeFileSync(join(checkout, 'bin/build.js'), 'process.exit(1)')
  setVersion('9.9.9')
  expect(await version()).toBe('9.9.9')
  expect(builds()).toEqual([])
})
