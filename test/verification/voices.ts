/** Voices for tests of the judge. */

import { createConfidence } from '../../node/jobs/verification/confidence.ts'
import type { About, JudgedVoice, Verdict, Verification, Voter } from '../../node/jobs/verification/verification.ts'
import type { Agree } from '../../protocol/manifest.ts'
import { assuming } from './cases.ts'
import { NONE } from './seats.ts'

export const EXACT: Agree = { kind: 'exact' }

export const stranger = (checks = 0, caught = 0): Voter => ({ trust: 'stranger', credit: { checks, caught } })
export const member = (checks = 0): Voter => ({ trust: 'member', credit: { checks, caught: 0 } })

export function says(peer: string, value: string, who: Voter = stranger(), independence = peer): JudgedVoice {
  return { ...who, peer, independence: [independence], said: { ok: true, digest: value, value } }
}

export function fails(peer: string, code: string, who: Voter = stranger()): JudgedVoice {
  return { ...who, peer, independence: [peer], said: { ok: false, code, message: '', blame: 'program' } }
}

type Init = { goal?: number; f?: number; c?: number; agree?: Agree; checked?: boolean }

export function confidence({ goal = 0.999, f = 0.2, c = 1, agree = EXACT, checked = false }: Init = {}): Verification {
  return createConfidence({ goal, agree, assumed: assuming(f, c), isChecked: () => checked })
}

export const judged = (verification: Verification, voices: JudgedVoice[], about?: About, others = 99): Verdict =>
  verification.judge(voices, NONE, others, about)

/** Voices of peers alike, all saying the same, until the unit is decided: how many it took; null: it never was. */
export function voicesTaken(verification: Verification, who: Voter): number | null {
  const voices: JudgedVoice[] = []
  for (;;) {
    const verdict = judged(verification, voices, { unit: 0, final: true, next: who })
    if (verdict.kind !== 'needs') return verdict.kind === 'accepted' ? voices.length : null
    voices.push(says(`peer-${voices.length}`, 'right', who))
  }
}
