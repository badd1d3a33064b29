/** What an altered node does to results on their way out: other values by who asks, and receipts that are not its own. */

import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Channel } from '../../node/mesh/mesh.ts'
import { Outbox } from '../../node/worker/outbox.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { decodeReceipt, signReceipt } from '../../protocol/receipt.ts'
import { signerOf } from '../../protocol/signatures.ts'
import { type Attempt, type ToSubmitter, toSubmitterSchema } from '../../protocol/work.ts'

type Results = Extract<ToSubmitter, { t: 'results' }>

const accomplice = signerOf(await generateKeyPair('Ed25519'))

const wrong = (attempts: readonly Attempt[]): Attempt[] =>
  attempts.map((attempt) => (attempt.ok ? { ...attempt, value: '666' } : attempt))

/** The frames sent in place of one. */
export const OUTBOX_KINDS: Record<string, () => (results: Results) => Promise<Results[]>> = {
  'replayed receipts': () => {
    let first: Results | null = null
    return async (results) => {
      first ??= results
      if (first === results) return [results]
      const { receipt, signature } = first
      return [first, { ...results, attempts: wrong(results.attempts), receipt, signature }]
    }
  },
  'forged receipts': () => async (results) => {
    const attempts = wrong(results.attempts)
    const { receipt } = await signReceipt(
      { ...accomplice, peer: decodeReceipt(results.receipt).worker },
      results.job,
      attempts,
    )
    return [{ ...results, attempts, receipt, signature: await accomplice.sign('receipt', receipt) }]
  },
  'receipts of another': () => async (results) => {
    const attempts = wrong(results.attempts)
    return [{ ...results, attempts, ...(await signReceipt(accomplice, results.job, attempts)) }]
  },
}

export function alterOutbox(kind: string): void {
  const { connect } = Outbox.prototype
  Outbox.prototype.connect = function (channel) {
    const alter = OUTBOX_KINDS[kind]?.()
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

function altered(channel: Channel, alter: (results: Results) => Promise<Results[]>): Channel {
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
