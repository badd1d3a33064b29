/** A program as a task: what is read of it, and what is refused. */

import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { digestOf } from '../../protocol/canonical.ts'
import { decodeProgram } from '../../protocol/command/program.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { command } from '../../sdk/command.ts'

let cwd: string
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'talkoot-command-'))
  mkdirSync(join(cwd, 'in', 'data', 'deep'), { recursive: true })
  writeFileSync(join(cwd, 'in', 'run.sh'), 'echo')
  chmodSync(join(cwd, 'in', 'run.sh'), 0o755)
  writeFileSync(join(cwd, 'in', 'data', 'b'), 'B')
  writeFileSync(join(cwd, 'in', 'data', 'deep', 'a'), 'A')
  writeFileSync(join(cwd, 'outside'), 'O')
})
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

const at = (...files: string[]) => command(['./run.sh'], { files, cwd: join(cwd, 'in') }).bundle()

it('holds its files at the paths they were named by, whatever the order of the folder', async () => {
  const { ref, source, agreement } = await at('run.sh', './data/', '../outside')
  const text = new TextDecoder().decode(source)
  expect(decodeProgram(text).files.map(({ path, executable, base64 }) => [path, executable, atob(base64)])).toEqual([
    ['run.sh', true, 'echo'],
    ['data/b', false, 'B'],
    ['data/deep/a', false, 'A'],
    ['outside', false, 'O'],
  ])
  expect([ref, agreement]).toEqual([{ runtime: 'command', digest: digestOf(text), bytes: source.length }, 'exact'])
  expect((await at('.')).ref.digest).toBe((await at('.')).ref.digest)
})

it('is refused with what is wrong', async () => {
  await expect(at('absent')).rejects.toMatchObject({ code: 'E_FILE', message: expect.stringContaining('absent') })
  await expect(at('run.sh', './run.sh')).rejects.toMatchObject({ code: 'E_TASK_INVALID' })
  await expect(command(['{']).bundle()).rejects.toMatchObject({ code: 'E_TASK_INVALID' })
  await expect(command([]).bundle()).rejects.toMatchObject({ code: 'E_TASK_INVALID' })
  await expect(command(['a'], { env: { 'A B': '' } }).bundle()).rejects.toMatchObject({ code: 'E_TASK_INVALID' })
})

it('follows no link and reads nothing that is no file', async () => {
  symlinkSync('/etc/passwd', join(cwd, 'in', 'link'))
  await expect(at('link')).rejects.toMatchObject({ code: 'E_FILE' })
  await expect(at('.')).rejects.toMatchObject({ code: 'E_FILE' })
  await expect(command(['a'], { files: ['/dev/null'] }).bundle()).rejects.toMatchObject({ code: 'E_FILE' })
  rmSync(join(cwd, 'in', 'link'))
})

it('over the limits is refused before it is read', async () => {
  writeFileSync(join(cwd, 'in', 'sparse'), '')
  truncateSync(join(cwd, 'in', 'sparse'), 10 * 2 ** 30)
  await expect(at('sparse')).rejects.toMatchObject({ code: 'E_TASK_TOO_BIG' })
  truncateSync(join(cwd, 'in', 'sparse'), LIMITS.TASK_MAX_BYTES - 100)
  await expect(at('sparse')).rejects.toMatchObject({ code: 'E_TASK_TOO_BIG' })
  rmSync(join(cwd, 'in', 'sparse'))
  mkdirSync(join(cwd, 'many'))
  for (let i = 0; i <= LIMITS.COMMAND_FILES_MAX; i++) writeFileSync(join(cwd, 'many', String(i)), '')
  await expect(command(['a'], { files: [join(cwd, 'many')] }).bundle()).rejects.toMatchObject({
    code: 'E_TASK_TOO_BIG',
  })
})
