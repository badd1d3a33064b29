/** Results and receipts of a real mesh, checked when every node of it is gone. */

import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { Lab } from './node-process.ts'

const TASK = fileURLToPath(new URL('./tasks/slow-square.task.ts', import.meta.url))
const PROGRAM = fileURLToPath(new URL('../../bin/talkoot.js', import.meta.url))

/** On a machine that has never had a node. */
const verify = (folder: string, ...args: string[]) =>
  new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const env = { ...process.env, TALKOOT_HOME: join(folder, 'nowhere'), NO_COLOR: '1' }
    const argv = ['--disable-warning=ExperimentalWarning', PROGRAM, 'verify', ...args]
    execFile(process.execPath, argv, { env, timeout: 200_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    )
  })

it('a job is taken away as two files, and what they prove is checked without a node', async () => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '1'])
  const worker = await lab.node('worker', ['--cores', '1', '--join', await home.token('--role', 'worker')])
  await home.sees(2)
  const [results, receipts] = [join(lab.folder, 'run.jsonl'), join(lab.folder, 'run.receipts')]
  const sweep = ['--param', 'x=0:40:1', '--param', 'ms=1']
  expect(await home.run(['run', TASK, ...sweep, '--quorum', '2', '--results', results])).toMatchObject({ code: 0 })
  const [job] = (await home.json<{ jobs: { id: string }[] }>(['jobs'])).jobs
  await worker.kill('SIGKILL')
  const written = await home.json(['job', 'receipts', job?.id ?? '', '--out', receipts])
  expect(written).toMatchObject({ schema: 'talkoot.receipts-written/1', job: job?.id })
  expect((await home.run(['job', 'receipts', job?.id ?? ''])).stdout.split('\n')).toHaveLength(
    readFileSync(receipts, 'utf8').split('\n').length,
  )
  await home.kill('SIGTERM')

  const good = await verify(lab.folder, results, '--receipts', receipts, '--json')
  const proof = JSON.parse(good.stdout)
  expect(proof).toMatchObject({ job: job?.id, state: 'done', accepted: 40, agreement: [{ signers: 2, units: 40 }] })
  expect(proof.signers.map(({ role }: { role: string }) => role).sort()).toEqual(['admin', 'worker'])

  const bytes = readFileSync(results)
  const at = bytes.indexOf('"value":') + '"value":'.length
  bytes.writeUInt8(bytes.readUInt8(at) === 0x31 ? 0x32 : 0x31, at)
  const altered = join(lab.folder, 'altered.jsonl')
  writeFileSync(altered, bytes)
  const refused = await verify(lab.folder, altered, '--receipts', receipts)
  expect(refused.code).toBe(7)
  expect(refused.stderr).toContain('E_RESULT_ALTERED')
  const other = await verify(lab.folder, results, '--receipts', receipts, '--job', 'zzz')
  expect(other).toMatchObject({ code: 7, stderr: expect.stringContaining('E_PROOF_MANIFEST') })
})
