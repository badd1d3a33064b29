/** `talkoot verify`: what a results file and exported receipts prove, with no node at all. */

import { resolve } from 'node:path'
import type { Command } from 'commander'
import { TalkootError } from '../../../protocol/errors.ts'
import { type Proof, verifyResults } from '../../../sdk/verify/verify.ts'
import type { Act } from '../context.ts'
import { count, plural } from '../render/figures.ts'
import { facts, grid } from '../render/grid.ts'
import type { View } from '../render/view.ts'

type Options = { receipts: string; job?: string; submitter?: string }

export function verify(program: Command, act: Act): void {
  program
    .command('verify <results>')
    .description('check a results file (.jsonl) against exported receipts; needs no node')
    .requiredOption('--receipts <file>', 'as `talkoot job receipts JOB --out FILE` wrote it')
    .option('--job <id>', 'refuse receipts of another job than this, by the beginning of its id')
    .option('--submitter <peer>', 'refuse receipts of another submitter than this')
    .action(
      act(async ({ io, output, signal }, results: string, options: Options) => {
        const files = { results: resolve(io.cwd, results), receipts: resolve(io.cwd, options.receipts) }
        const proof = await verifyResults({ ...files, signal })
        checkWanted(proof, options)
        await output.show(proof, proofView)
        return undefined
      }),
    )
}

function checkWanted({ job, submitter }: Proof, wanted: Options): void {
  if (wanted.job !== undefined && !job.startsWith(wanted.job)) {
    throw new TalkootError('E_PROOF_MANIFEST', `the receipts are of job ${job}`)
  }
  if (wanted.submitter !== undefined && submitter !== wanted.submitter) {
    throw new TalkootError('E_PROOF_MANIFEST', `the job was submitted by ${submitter}`)
  }
}

const proofView: View<Proof> = {
  ids: ({ job }) => [job],
  text(proof, { colours }) {
    const { verify, agree } = proof.policy
    const undecided = proof.units - proof.accepted - proof.failed
    const pairs: [string, string][] = [
      ['job', proof.name === '' ? proof.job : `${proof.job} (${proof.name})`],
      ['submitter', proof.submitter],
      ['task', proof.task],
      ['units', `${count(proof.units)}: ${count(proof.accepted)} accepted, ${count(proof.failed)} failed`],
      ...(undecided > 0 ? [['undecided', `${count(undecided)}: the job was ${proof.state}`] as [string, string]] : []),
      ...(proof.statedOnly > 0
        ? [['stated only', `${plural(proof.statedOnly, 'failure')} on the submitter's word alone`] as [string, string]]
        : []),
      ['asked for', verify.kind === 'quorum' ? `${verify.agree} of at most ${verify.of}, ${agree.kind}` : verify.kind],
      ...proof.agreement.map(
        ({ signers, units }) =>
          ['signed', `${plural(units, 'value')} by ${plural(signers, 'distinct key')} each`] as [string, string],
      ),
      ...(proof.contested > 0
        ? [
            ['contested', `${plural(proof.contested, 'unit')} of which somebody signed another value`] as [
              string,
              string,
            ],
          ]
        : []),
      ['receipts', `${count(proof.receipts)}, every signature good`],
    ]
    const signers = grid(
      proof.signers,
      [
        { title: 'SIGNED BY', cell: ({ peer }) => peer },
        { title: 'AGREED', align: 'right', cell: ({ agreed }) => count(agreed) },
        { title: 'DIFFERED', align: 'right', cell: ({ differed }) => count(differed) },
        { title: 'CERTIFICATE', cell: ({ role }) => role ?? 'none' },
      ],
      colours,
    )
    return `${colours.green('✔')} every result is as it was signed\n${facts(pairs, colours)}\n\n${signers}`
  },
}
