/** From a request to a signed job: everything that can be wrong with it is found here, before anything is kept. */

import { randomBytes } from 'node:crypto'
import { toString as bytesToString } from 'uint8arrays/to-string'
import type { z } from 'zod'
import type { jobRequestSchema } from '../../protocol/api.ts'
import { digestOf } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { encodeManifest, type Manifest } from '../../protocol/manifest.ts'
import { RUNTIME_KINDS } from '../../protocol/runtime-kinds.ts'
import type { Signer } from '../../protocol/signatures.ts'
import { type CompiledSweep, compileUnits } from '../../protocol/sweep/generator.ts'
import { UnplaceableError } from '../../protocol/unplaceable.ts'
import type { BlobStore } from '../store/blobs.ts'
import { explainMatch } from './matching/explain.ts'
import type { Candidate } from './matching/expression.ts'
import { compilePolicy, wantedOf } from './matching/policy.ts'

export type JobDescription = z.output<typeof jobRequestSchema> & Pick<Manifest, 'retryOf'>

export type SignedJob = {
  id: string
  manifest: Manifest
  bytes: Uint8Array
  signature: Uint8Array
  sweep: CompiledSweep
}

export class Intake {
  readonly #components: { signer: Signer; blobs: BlobStore }
  readonly #mesh: string

  constructor(components: { signer: Signer; blobs: BlobStore }, init: { mesh: string }) {
    this.#components = components
    this.#mesh = init.mesh
  }

  /** @throws E_JOB_INVALID, E_SWEEP_INVALID, E_SWEEP_TOO_BIG, E_EXPRESSION, E_INPUT, E_SOURCE */
  async sign(description: JobDescription): Promise<SignedJob> {
    const { signer, blobs } = this.#components
    if (!blobs.has(description.task.digest)) {
      throw new TalkootError('E_JOB_INVALID', 'the task is not stored here: send its bytes first')
    }
    compilePolicy(wantedOf(description))
    const sweep = this.compile(description)
    if (sweep.count === 0) throw new TalkootError('E_SWEEP_INVALID', 'the sweep has no points')
    this.#checkTask(description, sweep)
    const manifest: Manifest = {
      v: 1,
      mesh: this.#mesh,
      submitter: signer.peer,
      nonce: bytesToString(randomBytes(16), 'base32'),
      ...description,
    }
    const bytes = encodeManifest(manifest)
    return { id: digestOf(bytes), manifest, bytes, signature: await signer.sign('manifest', bytes), sweep }
  }

  /** What every peer would refuse or fail, said before anything is sent. */
  #checkTask({ task, policy }: JobDescription, sweep: CompiledSweep): void {
    const { agrees, parametersOf } = RUNTIME_KINDS[task.runtime]
    const read = parametersOf(new TextDecoder().decode(this.#components.blobs.get(task.digest)))
    const unknown = read.filter((name) => !sweep.names.has(name))
    if (unknown.length > 0) {
      const has = [...sweep.names].join(', ') || 'none'
      throw new TalkootError('E_JOB_INVALID', `the program names {${unknown.join('}, {')}}; the sweep has ${has}`)
    }
    if (policy.agree.kind === 'function' && !agrees) {
      throw new TalkootError('E_JOB_INVALID', 'policy.agree: a program has no `agree` function')
    }
  }

  compile(job: Pick<Manifest, 'sweep' | 'retryOf'>): CompiledSweep {
    return compileUnits(job, (digest) => {
      if (!this.#components.blobs.has(digest)) {
        throw new TalkootError('E_JOB_INVALID', 'the rows are not stored here: send their bytes first')
      }
      return this.#components.blobs.get(digest)
    })
  }
}

/** @throws UnplaceableError when not one known peer could run a unit, or fewer than must agree */
export function checkPlaceable(manifest: Manifest, peers: readonly Candidate[]): void {
  const { verify } = manifest.policy
  const needed = verify.kind === 'quorum' ? verify.agree : 1
  const match = explainMatch(wantedOf(manifest), peers)
  if (match.matching >= needed) return
  const counted = peers.length === 1 ? '1 peer is' : `${peers.length} peers are`
  const why =
    match.matching === 0
      ? `no peer can run this job: ${counted} known${withoutPython(manifest, peers)}`
      : `${needed} peers must agree on each unit, only ${match.matching} can run it`
  const clauses = match.clauses.map(({ clause, excludes, left }) => ({ clause, excludes, remaining: left }))
  throw new UnplaceableError(why, clauses)
}

/** A machine offers it when its owner says so, and not before it has shown that it works. */
const withoutPython = ({ task: { runtime } }: Manifest, peers: readonly Candidate[]): string =>
  runtime !== 'python' || peers.some(({ ad }) => ad.runtimes.some(({ kind }) => kind === runtime))
    ? ''
    : ', none runs Python: `talkoot up --python members` offers it within a minute of its start, and --queue waits for it'
