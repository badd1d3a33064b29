/** Receipts: a worker's signed statement of what it returned, one signature a frame of results. */

import { canonicalBytes, decodeCanonical, digestOf } from './canonical.ts'
import { TalkootError } from './errors.ts'
import { parseToFirstFault } from './first-fault.ts'
import type { JobId } from './manifest.ts'
import { isSignedBy, type Signer } from './signatures.ts'
import { type Attempt, type Receipt, receiptSchema } from './work.ts'

export type SignedReceipt = { receipt: Uint8Array; signature: Uint8Array }

/** How one attempt stands in a receipt: the digest of its value, or the code of its failure. */
export const endOf = (attempt: Attempt): string => (attempt.ok ? digestOf(attempt.value) : attempt.code)

export async function signReceipt(signer: Signer, job: JobId, attempts: readonly Attempt[]): Promise<SignedReceipt> {
  const receipt = canonicalBytes({
    v: 1,
    worker: signer.peer,
    job,
    units: attempts.map((attempt) => attempt.unit),
    ends: attempts.map(endOf),
  })
  return { receipt, signature: await signer.sign('receipt', receipt) }
}

/**
 * Checks that `worker` signed exactly these attempts for this job, and returns each attempt's end.
 * @throws E_FRAME otherwise
 */
export async function checkReceipt(
  worker: string,
  job: JobId,
  attempts: readonly Attempt[],
  { receipt, signature }: SignedReceipt,
): Promise<string[]> {
  if (!(await isSignedBy(worker, 'receipt', receipt, signature))) {
    throw new TalkootError('E_FRAME', 'a receipt that the worker did not sign')
  }
  const ends = attempts.map(endOf)
  const { units, ends: signed, ...facts } = decodeReceipt(receipt)
  const whole = facts.worker === worker && facts.job === job && units.length === attempts.length
  const same = whole && attempts.every((attempt, i) => units[i] === attempt.unit && signed[i] === ends[i])
  if (!same) throw new TalkootError('E_FRAME', 'a receipt that does not match its results')
  return ends
}

/** What a receipt says, its signature not looked at. @throws E_FRAME */
export function decodeReceipt(receipt: Uint8Array): Receipt {
  let content: unknown
  try {
    content = decodeCanonical(receipt)
  } catch (cause) {
    throw new TalkootError('E_FRAME', 'a receipt that is not canonical CBOR', { cause })
  }
  const parsed = parseToFirstFault(receiptSchema, content)
  if (!parsed.success) throw new TalkootError('E_FRAME', 'a malformed receipt')
  return parsed.data
}
