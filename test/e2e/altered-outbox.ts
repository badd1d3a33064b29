/** What an altered node does to results on their way out: other values by who asks, and receipts that are not its own. */

import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Channel } from '../../node/mesh/mesh.ts'
import { Outbox } from '../../node/worker/outbox.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { signReceipt } from '../../protocol/receipt.ts'
import { signerOf } from '../../protocol/signatures.ts'
import { type Attempt, type ToSubmitter, toSubmitterSchema } from '../../protocol/work.ts'

type Results = Extract<ToSubmitter, { t: 'results' }>

const accomplice = signerOf(await generateKeyPair('Ed25519'))

const wrong = (attempts: readonly Attempt[]): Attempt[] =>
  attempts.map((attempt) => (attempt.ok ? { ...attempt, value: '666' } : attempt))

/** The frames sent in place of one. */
type Alter = (results: Results) => Promise<Results[]>

/** `self`: the id of the altered node. */
export const OUTBOX_KINDS: Record<string, (self: Promise<string>) => Alter> = {
  'replayed receipts': () => {
    let first: Results | null = null
    return async (results) => {
      first ??= results
      if (first === results) return [results]
      return [first, { ...results, attempts: wrong(results.attempts), signature: first.signature }]
    }
  },
  'forged receipts': (self) => signedBy(self),
  'receipts of another': () => signedBy(Promise.resolve(accomplice.peer)),
}

/** By the accomplice's key, in the name of this peer. */
function signedBy(name: Promise<string>): Alter {
  return async (results) => {
    const attempts = wrong(results.attempts)
    const { signature } = await signReceipt({ ...accomplice, peer: await name }, results.job, attempts)
    return [{ ...results, attempts, signature }]
  }
}

export function alterOutbox(kind: string, self: Promise<string>): void {
  const { connect } = Outbox.prototype
  Outbox.prototype.connect = function (channel) {
    const alter = OUTBOX_KINDS[kind]?.(self)
    connect.call(this, channel === null || alter === undefined ? channel : altered(channel, alter))
  }
}

/** Tells the truth to the first who asks, and to nobody else. */
export function answerOnlyTheFirst(): void {
  const { connect, add } = Outbox.prototype
  const askers = new WeakMap<Outbox, string>()
  let first: string | null = null
  Outbox.prototype.connect = function (channel) {
    if (channel !== null) askers.set(this, channel.peer)
    connect.call(this, channel)
  }
  Outbox.prototype.add = function (job, attempts, options) {
    const asker = askers.get(this) ?? null
    first ??= asker
    add.call(this, job, asker === first ? attempts : wrong(attempts), options)
  }
}

function altered(channel: Channel, alter: Alter): Channel {
  return {
    peer: channel.peer,
    close: () => channel.close(),
    abort: (code, message) => channel.abort(code, message),
    [Symbol.asyncIterator]: () => channel[Symbol.asyncIterator](),
    async send(frame) {
      const message = decodeFrame(toSubmitterSchema, frame)
      const messages = message.t === 'results' ? await alter(message) : [message]
      for (const one of messages) await channel.send(encodeFrame(one))
    },
  }
}
