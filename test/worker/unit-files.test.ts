/** Files of units as a worker takes them in: within bounds, whatever comes out of a sandbox. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import type { UnitFile } from '../../node/runtimes/runtime.ts'
import { TreeStore } from '../../node/store/tree-store.ts'
import { UnitFiles } from '../../node/worker/unit-files.ts'
import { LIMITS } from '../../protocol/limits.ts'

const folder = mkdtempSync(join(tmpdir(), 'talkoot-unit-files-'))
const trees = new TreeStore({ folder, budgetBytes: 2 ** 30 })
const signal = new AbortController().signal
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function* nothing(): AsyncGenerator<Uint8Array> {
  yield* []
}

it('are refused before they are laid into more folders than a tree may have', async () => {
  const below = LIMITS.FILE_PATH_PARTS_MAX - 1
  let asked = 0
  async function* deep(): AsyncGenerator<UnitFile> {
    for (let at = 0; at < 400; at++) {
      asked += 1
      yield { path: `${at}/${'d/'.repeat(below - 1)}f`, bytes: 0, executable: false, content: nothing() }
    }
  }
  const files = new UnitFiles({ trees })
  await expect(files.keep(1, deep(), signal)).rejects.toMatchObject({
    code: 'E_TREE',
    message: expect.stringMatching(/over 10000 folders/),
  })
  expect(asked).toBe(Math.floor(LIMITS.TREE_FOLDERS_MAX / below) + 1)
  expect(readdirSync(folder)).toEqual([])
})

it('may lie beside each other in one deep folder', async () => {
  const parent = 'd/'.repeat(LIMITS.FILE_PATH_PARTS_MAX - 1)
  async function* beside(): AsyncGenerator<UnitFile> {
    for (let at = 0; at < 200; at++) yield { path: `${parent}${at}`, bytes: 0, executable: false, content: nothing() }
  }
  const files = new UnitFiles({ trees })
  await files.keep(1, beside(), signal)
  const held = files.take(1)
  expect(held?.layout.tree.files).toHaveLength(200)
  held?.release()
})
