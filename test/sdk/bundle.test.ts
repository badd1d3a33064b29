import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { bundleTask } from '../../sdk/bundle.ts'

const tasks = fileURLToPath(new URL('./tasks/', import.meta.url))
const task = (name: string): string => join(tasks, `${name}.task.ts`)
const text = async (file: string): Promise<string> => new TextDecoder().decode((await bundleTask(file)).source)

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'talkoot-bundle-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('a bundle', () => {
  it('has no operator whose bits depend on the CPU, and none of the SDK but what tasks need', async () => {
    const source = await text(task('square'))
    expect(source).not.toContain('**')
    expect(source).toContain('Math.pow')
    expect(source).not.toContain('api.json')
  })

  it('is the same wherever the module lies', async () => {
    await cp(tasks, join(folder, 'elsewhere', 'tasks'), { recursive: true })
    await writeFile(join(folder, 'package.json'), '{"type":"module"}')
    await symlink(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(folder, 'node_modules'))
    const module = `import { z } from 'zod'
      import { defineTask } from 'talkoot'
      export default defineTask({ url: import.meta.url, input: z.object({ n: z.number() }), run: ({ n }) => n })`
    const files = [join(folder, 'one.task.ts'), join(folder, 'elsewhere', 'one.task.ts')]
    for (const file of files) await writeFile(file, module)
    const [one, other] = await Promise.all(files.map(bundleTask))
    expect(one?.ref).toEqual(other?.ref)
    expect(await text(files[0] ?? '')).not.toContain(folder)
  })

  it('says how results agree', async () => {
    expect((await bundleTask(task('square'))).agreement).toEqual({ relative: 1e-9 })
    expect((await bundleTask(task('plain'))).agreement).toBe('exact')
    expect((await bundleTask(task('agrees'))).agreement).toBe('function')
  })

  it.each([
    ['builtin', 'E_TASK_BUNDLE', /builtin\.task\.ts:1:\d+: node:fs.* is not there in a sandbox/],
    ['no-default', 'E_TASK_INVALID', /no default export/],
    ['number', 'E_TASK_INVALID', /no function/],
    ['throws', 'E_TASK_INVALID', /threw while loading: SyntaxError/],
    ['absent', 'E_TASK_INVALID', /there is no file/],
  ])('of %s.task.ts is refused', async (name, code, message) => {
    await expect(bundleTask(task(name))).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  })

  it('names the line of an import that does not resolve, and refuses the SDK inside a task', async () => {
    const unresolved = join(folder, 'unresolved.task.ts')
    await writeFile(unresolved, `import x from 'not-a-package'\nexport default () => x\n`)
    await expect(bundleTask(unresolved)).rejects.toMatchObject({
      code: 'E_TASK_BUNDLE',
      message: expect.stringMatching(/unresolved\.task\.ts:1:14: Could not resolve "not-a-package"/),
    })
    const nested = join(folder, 'nested.task.ts')
    await writeFile(nested, `import { Mesh } from 'talkoot'\nexport default () => Mesh.connect()\n`)
    await expect(bundleTask(nested)).rejects.toMatchObject({ code: 'E_TASK_BUNDLE' })
  })

  it('over the limit is refused', async () => {
    const large = join(folder, 'large.task.ts')
    await writeFile(large, `export default () => '${'x'.repeat(LIMITS.TASK_MAX_BYTES)}'\n`)
    await expect(bundleTask(large)).rejects.toMatchObject({ code: 'E_TASK_TOO_BIG' })
  })
})
