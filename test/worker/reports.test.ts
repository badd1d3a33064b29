/** What units leave beside their ends, as a worker tells it. */

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { digestOf } from '../../protocol/canonical.ts'
import { encodeProgram } from '../../protocol/command/program.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { UnitReport } from '../../protocol/report.ts'
import { until } from '../mesh/nodes.ts'
import { newSigner, type SignedJob, Submitter, signJob } from './submitter.ts'
import { Workshop } from './workshop.ts'

let shop: Workshop
beforeAll(async () => {
  shop = await Workshop.open()
})
afterEach(() => shop.stopWorkers())
afterAll(() => shop.close())

const shell = (script: string): string =>
  encodeProgram({ v: 1, argv: ['sh', '-c', script], env: {}, stdin: null, inputs: null })

async function reportsOf(job: SignedJob, submitter: Submitter, units: number): Promise<UnitReport[]> {
  shop.sources.set(digestOf(job.source), job.source)
  await submitter.introduce(job)
  await submitter.run(job, units)
  await until(() => submitter.attempts.length === units)
  return submitter.of('results').flatMap(({ reports = [] }) => reports)
}

async function programReports(script: string, units: number): Promise<UnitReport[]> {
  const submitter = new Submitter(await shop.worker(), await newSigner())
  const source = shell(script)
  const task = { runtime: 'command' as const, digest: digestOf(source), bytes: Buffer.byteLength(source) }
  return reportsOf(await signJob(submitter.signer, source, {}, { task }), submitter, units)
}

/** Why programs are not run here; null: they are. */
const fault = (): Promise<string | null> =>
  shop.commands.probe(AbortSignal.timeout(LIMITS.PROBE_TIMEOUT_MS)).then(
    () => null,
    (error) => String(error),
  )

it('a program’s: how it ended, the last of what it wrote, what it took', async (context) => {
  const why = await fault()
  if (why !== null) return context.annotate(`not run: ${why}`)
  // Three bytes a character, so that the bound cuts one in two; unit 1 is ended by a signal, unit 2 takes a while, however little of the machine it has.
  const script = `
    case {unit} in
      0) i=0; while [ $i -lt 3000 ]; do printf '€€'; printf 'aé' >&2; i=$((i+1)); done; exit 3 ;;
      1) kill -SEGV $$ ;;
      2) head -c 5M /dev/zero > big; cat big big > /dev/null; end=$(($(date +%s) + 2)); i=0; while [ $(date +%s) -lt $end ] || [ $i -lt 300 ]; do i=$((i+1)); done; echo done ;;
    esac`
    .replaceAll(/\{(?!unit)/g, '{{')
    .replaceAll(/(?<!unit)\}/g, '}}')
  const [failed, killed, slow] = (await programReports(script, 3)).toSorted((a, b) => a.unit - b.unit)
  expect(failed).toMatchObject({ unit: 0, exit: { code: 3, signal: null }, runtime: 'command 1' })
  expect(failed?.stdout).toBe('€'.repeat(Math.floor(LIMITS.REPORT_TEXT_MAX_BYTES / 3)))
  expect(failed?.stderr).toBe('aé'.repeat(3_000))
  expect(failed?.system).toMatch(/^Linux \S+ \S+$/)
  expect(killed).toMatchObject({ exit: { code: 139, signal: 'SIGSEGV' }, stdout: '' })
  expect(slow).toMatchObject({ exit: { code: 0, signal: null }, stdout: 'done\n' })
  expect(slow?.wallMs).toBeGreaterThan(900)
  expect(slow?.cpuMs).toBeGreaterThan(100)
  expect(slow?.cpuMs).toBeLessThan(2 * (slow?.wallMs ?? 0))
  expect(slow?.peakMiB).toBeGreaterThan(0)
  const { began = '', ended = '', readBytes, ...rest } = slow?.process ?? {}
  expect(Date.parse(ended) - Date.parse(began)).toBeCloseTo(slow?.wallMs ?? 0, -1)
  expect(readBytes).toBeGreaterThan(5 * 2 ** 20)
  expect(rest).toMatchObject({ host: 'unit', user: 'unit', program: expect.stringMatching(/^\/usr\/bin\/\w*sh$/) })
})

it('of a function only what it logged; of one that logs nothing, nothing', async () => {
  const worker = await shop.worker()
  const submitter = new Submitter(worker, await newSigner())
  const source = "exports.default = ({ n }, { log }) => { if (n === 3) log('three'); return n }"
  const reports = await reportsOf(await signJob(submitter.signer, source), submitter, 10)
  expect(reports).toEqual([
    {
      unit: 3,
      exit: null,
      stdout: '',
      stderr: expect.stringContaining('three'),
      wallMs: null,
      cpuMs: null,
      peakMiB: null,
      runtime: 'js 1',
      system: expect.any(String),
    },
  ])
})
