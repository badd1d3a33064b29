/** Whose move it is, in words. */

import type { ReasonMover } from '../../../protocol/reasons.ts'

export const MOVES: Record<ReasonMover, string> = {
  user: 'your move',
  owner: "the machine owner's move",
  peer: "the other machine's move",
  platform: "the platform's move",
  bug: 'our mistake',
  nobody: 'nobody’s move',
}
