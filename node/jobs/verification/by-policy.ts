/** Which verification a job's policy asks for, and what it takes to be true. */

import type { Policy } from '../../../protocol/manifest.ts'
import { checkedUnits } from './checked-units.ts'
import { createConfidence } from './confidence.ts'
import { ASSUMED, type Assumptions } from './credit.ts'
import { type Diagnosis, Repeatability } from './diagnosis.ts'
import { NeverAgreeing } from './never-agreeing.ts'
import { createQuorum } from './quorum.ts'
import type { Verification } from './verification.ts'

type Asked = Pick<Policy, 'verify' | 'agree'>

/** `checkKey`: of `checkedUnits`; needed for a confidence. */
export function verificationOf({ verify, agree }: Asked, checkKey?: Uint8Array): Verification {
  if (verify.kind !== 'confidence') return createQuorum({ verify, agree })
  if (checkKey === undefined) throw new RangeError('a job with a confidence to reach needs a key for its checks')
  const assumed = assumptionsOf({ verify })
  return createConfidence({ goal: verify.goal, agree, assumed, isChecked: checkedUnits(checkKey, assumed.checkShare) })
}

/** What tells a task that does not repeat from peers that lie; null: no two are asked. */
export function diagnosisOf({ verify }: Pick<Policy, 'verify'>): Diagnosis | null {
  if (verify.kind === 'confidence') return new Repeatability({ assumed: assumptionsOf({ verify }) })
  return verify.kind === 'quorum' && verify.agree > 1 ? new NeverAgreeing() : null
}

export function assumptionsOf({ verify }: Pick<Policy, 'verify'>): Assumptions {
  if (verify.kind !== 'confidence') return ASSUMED
  return { ...ASSUMED, collusion: { ...ASSUMED.collusion, stranger: verify.collusion } }
}
