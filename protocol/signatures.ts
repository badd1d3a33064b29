/** Ed25519 signatures by peers. A context is signed along, so that a signature for one purpose is worth nothing for another. */

import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { concat } from 'uint8arrays/concat'
import { fromString } from 'uint8arrays/from-string'

type SignatureContext = 'manifest' | 'receipt' | 'ad' | 'certificate' | 'revocation' | 'seal'

export interface Signer {
  readonly peer: string
  sign(context: SignatureContext, bytes: Uint8Array): Promise<Uint8Array>
}

export function signerOf(key: PrivateKey): Signer {
  return {
    peer: peerIdFromPrivateKey(key).toString(),
    sign: async (context, bytes) => key.sign(contextual(context, bytes)),
  }
}

/** Whether `peer` signed these bytes for this purpose. False, never an error, for ids and signatures that are no such thing. */
export async function isSignedBy(
  peer: string,
  context: SignatureContext,
  bytes: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  try {
    const key = peerIdFromString(peer).publicKey
    return key !== undefined && (await key.verify(contextual(context, bytes), signature))
  } catch {
    return false
  }
}

const contextual = (context: SignatureContext, bytes: Uint8Array) =>
  concat([fromString(`talkoot/1/${context}\0`), bytes])
