/**
 * The independent verifier: what a results file and exported receipts prove, without a node, a mesh or a ledger.
 * docs/receipts.md says what that is worth.
 */

import { TalkootError } from '../../protocol/errors.ts'
import { UnitsDigest } from '../../protocol/proof.ts'
import { type CheckedReceipts, checkReceipts } from './receipts-file.ts'
import { altered, readResults, unsigned } from './results-file.ts'
import { type SignedEnd, type TalliedResult, Tally } from './tally.ts'

/** What is proved, by whom. */
export type Proof = {
  schema: 'talkoot.proof/1'
  job: string
  name: string
  mesh: string
  submitter: string
  /** Of the job when the receipts were exported. */
  state: 'running' | 'done' | 'cancelled'
  /** Digest of the program that ran. */
  task: string
  /** How results had to agree, as the submitter stated it. */
  policy: Pick<CheckedReceipts['manifest']['policy'], 'verify' | 'agree'>
  units: number
  accepted: number
  failed: number
  /** Failed units whose failure no worker signed: the submitter alone says so. */
  statedOnly: number
  receipts: number
  /** How many units were accepted with so many signers of the very value. */
  agreement: { signers: number; units: number }[]
  /** Units on which somebody signed something else than what was accepted. */
  contested: number
  signers: {
    peer: string
    /** Units decided whose outcome it signed, and those on which it signed something else. */
    agreed: number
    differed: number
    /** By a certificate that leads to the key of the mesh; null: none is in the file, and anybody can make a key. */
    role: string | null
    issuer: string | null
  }[]
}

export type VerifyInit = {
  /** JSONL, as `job results --out` writes it. */
  results: string
  /** As `job receipts --out` writes it. */
  receipts: string
  signal?: AbortSignal
}

/**
 * Memory stays the same whatever the length of the files; what is read is sorted on disk, in the folder for temporary files.
 * @throws E_PROOF_*, E_RECEIPT_*, E_RESULT_* for whatever is not as it was signed, E_FILE, E_DISK_FULL
 */
export async function verifyResults({ results, receipts, signal }: VerifyInit): Promise<Proof> {
  using tally = new Tally()
  const checked = await checkReceipts({ tally }, { file: receipts, signal })
  await readResults({ tally }, checked, { file: results, signal })
  return compare(tally, checked, signal)
}

function compare(tally: Tally, checked: CheckedReceipts, signal: AbortSignal | undefined): Proof {
  const { seal, signers } = checked
  const digest = new UnitsDigest()
  const sums = { accepted: 0, failed: 0, statedOnly: 0, contested: 0 }
  const agreement = new Map<number, number>()
  const standing = signers.ids.map(() => ({ agreed: 0, differed: 0 }))
  for (const result of tally.results()) {
    signal?.throwIfAborted()
    digest.add(result.digest)
    const { agreed, differed } = judge(result, signers.ids)
    for (const signer of agreed) count(standing[signer], 'agreed')
    for (const signer of differed) count(standing[signer], 'differed')
    sums[result.ok ? 'accepted' : 'failed'] += 1
    if (!result.ok) {
      sums.statedOnly += agreed.size === 0 ? 1 : 0
      continue
    }
    sums.contested += differed.size > 0 ? 1 : 0
    agreement.set(agreed.size, (agreement.get(agreed.size) ?? 0) + 1)
  }
  checkSeal(seal, sums, digest.digest())
  return proofOf(checked, sums, agreement, standing)
}

/** Who signed what the result says, and who signed only something else. */
function judge(
  { unit, ok, said, signers, ends }: TalliedResult & { ends: SignedEnd[] },
  ids: readonly string[],
): { agreed: Set<number>; differed: Set<number> } {
  const agreed = new Set<number>()
  for (const end of ends) if (end.said === said) agreed.add(end.signer)
  const differed = new Set(ends.map(({ signer }) => signer).filter((signer) => !agreed.has(signer)))
  if (ok && agreed.size === 0) throw altered(unit, 'nobody signed this value')
  for (const signer of signers) {
    if (!agreed.has(signer) && !differed.has(signer)) unsigned(unit, ids[signer] ?? '')
  }
  return { agreed, differed }
}

function checkSeal(
  seal: CheckedReceipts['seal'],
  { accepted, failed }: { accepted: number; failed: number },
  units: string,
): void {
  const [here, sealed] = [accepted + failed, seal.accepted + seal.failed]
  if (here < sealed) {
    throw new TalkootError('E_RESULT_MISSING', `${here} of ${sealed} decided units are in the results`)
  }
  if (here > sealed) {
    throw new TalkootError(
      'E_PROOF_SEAL',
      `${here} units are in the results, ${sealed} were decided when it was sealed`,
    )
  }
  if (units !== seal.units) {
    throw new TalkootError('E_RESULT_ALTERED', 'attempts, peers or a failure are not as the submitter sealed them')
  }
}

function proofOf(
  { job, manifest, sweep, seal, signers, members }: CheckedReceipts,
  sums: Pick<Proof, 'accepted' | 'failed' | 'statedOnly' | 'contested'>,
  agreement: ReadonlyMap<number, number>,
  standing: readonly { agreed: number; differed: number }[],
): Proof {
  const { name, mesh, submitter, task, policy } = manifest
  return {
    schema: 'talkoot.proof/1',
    job,
    name,
    mesh,
    submitter,
    state: seal.state,
    task: task.digest,
    policy: { verify: policy.verify, agree: policy.agree },
    units: sweep.count,
    receipts: seal.receipts,
    ...sums,
    agreement: [...agreement].sort(([a], [b]) => a - b).map(([signers, units]) => ({ signers, units })),
    signers: signers.ids
      .map((peer, i) => {
        const { role = null, issuer = null } = members.get(peer) ?? {}
        return { peer, agreed: standing[i]?.agreed ?? 0, differed: standing[i]?.differed ?? 0, role, issuer }
      })
      .sort((a, b) => b.agreed - a.agreed),
  }
}

function count(standing: { agreed: number; differed: number } | undefined, what: 'agreed' | 'differed'): void {
  if (standing !== undefined) standing[what] += 1
}
