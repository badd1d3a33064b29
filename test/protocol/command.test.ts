/** Programs as tasks: their templates, their files, and what is refused. */

import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../protocol/canonical.ts'
import { clashOf, filePathFault, newFolders } from '../../protocol/command/file-path.ts'
import { decodeProgram, encodeProgram, type Program, parametersOf } from '../../protocol/command/program.ts'
import { fill, parametersIn, templateFault } from '../../protocol/command/template.ts'
import { LIMITS } from '../../protocol/limits.ts'

const TREE = { digest: digestOf('files'), bytes: 7 }

const program = (changes: Partial<Program>): Program => ({
  v: 1,
  argv: ['run'],
  env: {},
  stdin: null,
  inputs: null,
  folders: [],
  outputs: [],
  ...changes,
})

describe('a template', () => {
  it.each([
    ['--x {x}', '--x 1.5'],
    ['{x}{unit}{name}', '1.57text with {x}'],
    ['{{x}} {{{x}}}', '{x} {1.5}'],
    ['{list}', '[1,2]'],
    ['plain $HOME', 'plain $HOME'],
  ])('%j becomes %j', (text, filled) => {
    expect(fill(text, 7, { x: 1.5, name: 'text with {x}', list: [1, 2] })).toBe(filled)
  })

  it('that names an unknown parameter is not filled, and one named as `unit` wins over the index', () => {
    expect(fill('{y}', 0, { x: 1 })).toBeUndefined()
    expect(fill('{toString}', 0, {})).toBeUndefined()
    expect(fill('{unit}', 7, { unit: 'mine' })).toBe('mine')
  })

  it.each(['a'.repeat(20_000), Array(7_000).fill(1), '€'.repeat(5_000)])('that becomes too long is given up', (x) => {
    expect(fill('{x}', 0, { x })).toBeDefined()
    expect(() => fill('{x}'.repeat(10_000), 0, { x })).toThrow(/over/)
  })

  it.each(['{', '}', 'a {b', '{}', '{a{b}'])('%j is refused', (text) => {
    expect(templateFault(text)).not.toBeNull()
  })

  it('of any text, with its braces doubled, gives the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('{', '}', 'a', ' ', '\n', '$&') }), (text) => {
        const template = text.replaceAll('{', '{{').replaceAll('}', '}}')
        expect([templateFault(template), parametersIn([template]), fill(template, 0, {})]).toEqual([null, [], text])
      }),
    )
  })
})

describe('the path of a file', () => {
  it.each(['a', 'a/b.txt', 'ünï/c d', '.hidden', 'a..b'])('%j is fine', (path) =>
    expect(filePathFault(path)).toBeNull(),
  )
  it.each([
    '',
    '/etc/passwd',
    '../a',
    'a/../b',
    'a//b',
    './a',
    'a/',
    'a\nb',
    'a\u0000',
    'a\\b',
    '-rf',
    'a/\u202eb',
    'n'.repeat(LIMITS.FILE_NAME_MAX_BYTES + 1),
    `${`${'n'.repeat(99)}/`.repeat(LIMITS.FILE_PATH_MAX_BYTES / 100)}${'n'.repeat(99)}`,
    'a/'.repeat(LIMITS.FILE_PATH_PARTS_MAX).concat('a'),
  ])('%j is refused', (path) => expect(filePathFault(path)).not.toBeNull())

  it('has so many names at most', () => {
    expect(filePathFault('a/'.repeat(LIMITS.FILE_PATH_PARTS_MAX - 1).concat('a'))).toBeNull()
  })

  it('lies in folders, of which those above a known one are known', () => {
    expect([...newFolders('a/b/c/d', new Set())]).toEqual(['a/b/c', 'a/b', 'a'])
    expect([...newFolders('a/b/c/d', new Set(['a', 'a/b']))]).toEqual(['a/b/c'])
    expect([...newFolders('a', new Set())]).toEqual([])
  })

  it('clashes with what lies above it or below it, and each folder counts once', () => {
    for (const paths of [
      ['a/b/c', 'a/b/d', 'a/b'],
      ['a', 'a/b/c'],
      ['a/b', 'a/b/c/d'],
    ]) {
      expect(clashOf(paths, 100)).not.toBeNull()
    }
    const paths = ['a/b/c', 'a/b/d', 'a/e/f', 'g/h']
    expect([clashOf(paths, 4), clashOf(paths, 3)]).toEqual([null, 'they lie in over 3 folders'])
  })
})

describe('a program', () => {
  it('comes out as it went in, and names its parameters', () => {
    const whole = program({
      argv: ['a', '{x}'],
      env: { V: '{y}' },
      stdin: '{x} {unit}',
      inputs: TREE,
      folders: [{ at: '/home/u/env', tree: TREE }],
    })
    expect(decodeProgram(encodeProgram(whole))).toEqual(whole)
    expect(parametersOf(whole)).toEqual(['x', 'y'])
  })

  it.each<[string, Partial<Program>]>([
    ['nothing to start', { argv: [] }],
    ['too many arguments', { argv: Array(LIMITS.COMMAND_ARGUMENTS_MAX + 1).fill('a') }],
    ['a long argument', { argv: ['a'.repeat(LIMITS.COMMAND_ARGUMENT_MAX_CHARS + 1)] }],
    ['a null character', { argv: ['a\0b'] }],
    ['a broken template', { argv: ['{'] }],
    ['no name of a variable', { env: { 'A=B': '' } }],
    ['a name that begins with a digit', { env: { '1': '' } }],
    [
      'too many variables',
      { env: Object.fromEntries(Array.from({ length: LIMITS.COMMAND_VARIABLES_MAX + 1 }, (_, i) => [`V${i}`, ''])) },
    ],
    ['more than any machine could start', { argv: Array(33).fill('a'.repeat(LIMITS.COMMAND_ARGUMENT_MAX_CHARS)) }],
    ['files that have no digest', { inputs: { digest: '../a', bytes: 1 } }],
    ['a folder that is not absolute', { folders: [{ at: 'home/u', tree: TREE }] }],
    ['a folder in the place of the system', { folders: [{ at: '/usr/local/lib', tree: TREE }] }],
    ['a folder that leads out', { folders: [{ at: '/home/../etc', tree: TREE }] }],
    ['a folder in the place of what a unit writes', { folders: [{ at: '/tmp', tree: TREE }] }],
    [
      'a folder in another',
      {
        folders: [
          { at: '/home/u', tree: TREE },
          { at: '/home/u/env', tree: TREE },
        ],
      },
    ],
    [
      'too many folders',
      {
        folders: Array.from({ length: LIMITS.COMMAND_BROUGHT_FOLDERS_MAX + 1 }, (_, i) => ({
          at: `/f${i}`,
          tree: TREE,
        })),
      },
    ],
    ['more bytes than files may have', { inputs: { digest: digestOf(''), bytes: LIMITS.TREE_MAX_BYTES + 1 } }],
  ])('with %s is refused', (_, changes) => {
    expect(() => decodeProgram(encodeProgram(program(changes)))).toThrow(expect.objectContaining({ code: 'E_SOURCE' }))
  })

  it('that is not JSON is refused', () => {
    expect(() => decodeProgram('{')).toThrow(expect.objectContaining({ code: 'E_SOURCE' }))
  })
})
