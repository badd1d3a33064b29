/** A submitter in the rough: it says what it likes over a channel in memory, and keeps what it hears. */

import { generateKeyPair } from '@libp2p/crypto/keys'
import { memoryChannels } from '../../node/mesh/memory-channel.ts'
import type { Channel } from '../../node/mesh/mesh.ts'
import type { Submitter as Who } from '../../node/worker/weights.ts'
import type { Worker } from '../../node/worker/worker.ts'
import { digestOf } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { encodeManifest, type Manifest, policySchema } from '../../protocol/manifest.ts'
import { type Signer, signerOf } from '../../protocol/signatures.ts'
import { type Attempt, type ToSubmitter, type ToWorker, toSubmitterSchema } from '../../protocol/work.ts'
import { until } from '../mesh/nodes.ts'

export type SignedJob = { id: string; manifest: Uint8Array; signature: Uint8Array; source: string }

export async function newSigner(): Promise<Signer> {
  return signerOf(await generateKeyPair('Ed25519'))
}

let nonce = 0

/** A job as a submitter's node would sign it; `changes` make it another's, or no job at all. */
export async function signJob(
  signer: Signer,
  source: string,
  policy: object = {},
  changes: Partial<Manifest> = {},
): Promise<SignedJob> {
  const manifest = encodeManifest({
    v: 1,
    name: '',
    mesh: 'mesh',
    submitter: signer.peer,
    nonce: String(nonce++),
    task: { runtime: 'js', digest: digestOf(source), bytes: Buffer.byteLength(source) },
    sweep: { kind: 'product', axes: [['n', { kind: 'range', from: 0, to: 10, step: 1 }]] },
    policy: policySchema.parse({ memoryMiB: 64, ...policy }),
    retryOf: null,
    after: [],
    ...changes,
  })
  return { id: digestOf(manifest), manifest, signature: await signer.sign('manifest', manifest), source }
}

export class Submitter {
  readonly signer: Signer
  readonly heard: ToSubmitter[] = []
  /** The code the session ended with. */
  ended: string | null = null
  readonly #channel: Channel
  readonly #served: Promise<void>

  constructor(worker: Worker, signer: Signer, options: { role?: Who['role']; deaf?: boolean } = {}) {
    this.signer = signer
    const [mine, theirs] = memoryChannels(signer.peer)
    this.#channel = mine
    this.#served = worker.serve(theirs, { id: signer.peer, role: options.role ?? 'member' })
    if (options.deaf !== true) this.listen()
  }

  listen(): void {
    this.#listen().then(
      () => {
        this.ended = 'closed'
      },
      (thrown) => {
        this.ended = TalkootError.from(thrown).code
      },
    )
  }

  say(message: ToWorker): Promise<void> {
    return this.sayBytes(encodeFrame(message))
  }

  sayBytes(bytes: Uint8Array): Promise<void> {
    return this.#channel.send(bytes)
  }

  introduce({ id, manifest, signature }: SignedJob): Promise<void> {
    return this.say({ t: 'job', job: id, manifest, signature })
  }

  /** Units from `from` on, each with its index as `n`. */
  run({ id }: SignedJob, count: number, from = 0): Promise<void> {
    return this.say({
      t: 'run',
      job: id,
      units: Array.from({ length: count }, (_, i) => [from + i, `{"n":${from + i}}`]),
    })
  }

  async leave(): Promise<void> {
    await this.#channel.close()
    await this.#served
  }

  of<T extends ToSubmitter['t']>(type: T): Extract<ToSubmitter, { t: T }>[] {
    return this.heard.filter((message): message is Extract<ToSubmitter, { t: T }> => message.t === type)
  }

  get attempts(): Attempt[] {
    return this.of('results').flatMap(({ attempts }) => attempts)
  }

  async refused(job: string): Promise<Extract<ToSubmitter, { t: 'refuse' }>> {
    await until(() => this.of('refuse').some((refusal) => refusal.job === job))
    return this.of('refuse').filter((refusal) => refusal.job === job)[0] as Extract<ToSubmitter, { t: 'refuse' }>
  }

  async #listen(): Promise<void> {
    for await (const frame of this.#channel) this.heard.push(decodeFrame(toSubmitterSchema, frame))
  }
}
