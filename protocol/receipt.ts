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

const receiptOf = (worker: string, job: JobId, attempts: readonly Attempt[], ends: readonly string[]): Uint8Array =>
  canonicalBytes({ v: 1, worker, job, units: attempts.map(({ unit }) => unit), ends })

export async function signReceipt(signer: Signer, job: JobId, attempts: readonly Attempt[]): Promise<SignedReceipt> {
  const receipt = receiptOf(signer.peer, job, attempts, attempts.map(endOf))
  return { receipt, signature: await signer.sign('receipt', receipt) }
}

/**
 * Checks that `worker` signed exactly these attempts for this job: the receipt is written anew from them, so that nothing else can
 * have been signed. Returns it, and each attempt's end.
 * @throws E_FRAME otherwise
 */
export async function checkReceipt(
  worker: string,
  job: JobId,
  attempts: readonly Attempt[],
  signature: Uint8Array,
): Promise<{ receipt: Uint8Array; ends: string[] }> {
  const ends = attempts.map(endOf)
  const receipt = receiptOf(worker, job, attempts, ends)
  if (await isSignedBy(worker, 'receipt', receipt, signature)) return { receipt, ends }
  throw new TalkootError('E_FRAME', 'results that the worker did not sign')
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
