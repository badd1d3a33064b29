/** States of WebAssembly units: bytes, as base64 in the JSON that a state is here. */

import { LIMITS } from '../../../../protocol/limits.ts'
import { base64OfBytes, bytesOfBase64 } from '../../../../protocol/wasm/bytes.ts'
import type { Context } from './call.ts'
import { Failure } from './failure.ts'

type Saving = Pick<Context, 'checkpoint' | 'resumed'>

/** @throws Failure E_CHECKPOINT */
export function saveBytes({ checkpoint }: Saving, state: Uint8Array): void {
  if (state.length > LIMITS.WASM_CHECKPOINT_MAX_BYTES) {
    throw new Failure('E_CHECKPOINT', `checkpoint: it is over ${LIMITS.WASM_CHECKPOINT_MAX_BYTES} bytes`)
  }
  checkpoint(base64OfBytes(state))
}

/** Empty: it begins. What is no base64 is as good as none: the peer that keeps it may say anything. */
export function resumedBytes({ resumed }: Saving): Uint8Array<ArrayBuffer> {
  try {
    return bytesOfBase64(typeof resumed === 'string' ? resumed : '')
  } catch {
    return new Uint8Array()
  }
}
