/** Reads a results file line by line and checks what each line says against the job: its units, its parameters. */

import { z } from 'zod'
import { count } from '../../protocol/amounts.ts'
import { canonicalJson, digestOf } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { digestOfUnit } from '../../protocol/proof.ts'
import { linesOf, parseLine, readLine } from './lines.ts'
import type { CheckedReceipts } from './receipts-file.ts'
import type { Tally } from './tally.ts'

/** What other versions may say besides is under the seal as well. */
const base = {
  /** As on standard output; files have none. */
  schema: z.literal('talkoot.result/1').optional(),
  unit: count,
  params: z.record(z.string(), z.json()),
  peers: z.array(z.string()),
}

/** A line as `toJsonl`, `job results` and `run --out` write it. */
const lineSchema = z.discriminatedUnion('status', [
  z.object({ ...base, status: z.literal('accepted'), value: z.json() }).catchall(z.json()),
  z
    .object({ ...base, status: z.literal('failed'), error: z.object({ code: z.string() }).catchall(z.json()) })
    .catchall(z.json()),
])

type Job = Pick<CheckedReceipts, 'sweep' | 'signers'>

/** Every result goes to the tally. @throws E_FILE, E_PROOF_FORM, E_RESULT_ALTERED, E_RESULT_TWICE, E_RECEIPT_MISSING */
export async function readResults(
  { tally }: { tally: Tally },
  { sweep, signers }: Job,
  { file, signal }: { file: string; signal: AbortSignal | undefined },
): Promise<void> {
  for await (const line of linesOf(file, signal)) {
    const { schema: _schema, params, ...row } = readLine(lineSchema, file, line, parseLine(file, line))
    const { unit, peers } = row
    if (unit >= sweep.size || sweep.next(unit - 1) !== unit) throw altered(unit, 'the job has no such unit')
    if (canonicalJson(params) !== canonicalJson(sweep.point(unit))) {
      throw altered(unit, 'its parameters are not those of the job')
    }
    const ok = row.status === 'accepted'
    const said = row.status === 'accepted' ? digestOf(canonicalJson(row.value)) : row.error.code
    const added = tally.addResult({
      unit,
      digest: digestOfUnit(ok ? { ...row, value: said } : row),
      ok,
      said,
      signers: peers.map((peer) => signers.find(peer) ?? unsigned(unit, peer)),
    })
    if (!added) throw new TalkootError('E_RESULT_TWICE', `unit ${unit} is there twice`, { meta: { unit } })
  }
}

export const altered = (unit: number, why: string) =>
  new TalkootError('E_RESULT_ALTERED', `unit ${unit}: ${why}`, { meta: { unit } })

export function unsigned(unit: number, peer: string): never {
  throw new TalkootError('E_RECEIPT_MISSING', `unit ${unit}: there is no receipt of ${peer} for it`, {
    meta: { unit, peer },
  })
}
