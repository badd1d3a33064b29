/**
 * What must hold of any judge by confidence, as properties that fail for one that breaks them: there are so many runs that
 * each planted bug shows in one of them, but for one time in a million.
 */

import fc from 'fast-check'
import { logOdds, tallyOf } from '../../node/jobs/verification/credibility.ts'
import type { Assumptions } from '../../node/jobs/verification/credit.ts'
import type { JudgedVoice, Verdict, Verification, Voter } from '../../node/jobs/verification/verification.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { assuming } from './cases.ts'
import { fails, judged, says } from './voices.ts'

export type Property = (make: (init: { goal: number; f: number; c: number }) => Verification) => void

const GOAL = fc.constantFrom(0.9, 0.99, 0.999, 0.9999)
const SHARE = fc.double({ min: 0.001, max: 0.45, noNaN: true })
const COLLUSION = fc.double({ min: 0.001, max: 1, noNaN: true })
const WHO: fc.Arbitrary<Voter> = fc.record({
  trust: fc.constantFrom('member' as const, 'stranger' as const),
  credit: fc.record({ checks: fc.oneof(fc.constant(0), fc.nat(4), fc.nat(400)), caught: fc.constantFrom(0, 0, 0, 1) }),
})
const SAID = fc.constantFrom('a', 'a', 'a', 'b', 'c', '!E_TASK_THREW')
const SPOKEN = fc.array(fc.tuple(WHO, SAID, fc.nat(5)), { minLength: 1, maxLength: 9 })
const INIT = fc.record({ goal: GOAL, f: SHARE, c: COLLUSION })

const voicesOf = (spoken: [Voter, string, number][]): JudgedVoice[] =>
  spoken.map(([who, what, operator], i) =>
    what.startsWith('!') ? fails(`p${i}`, what.slice(1), who) : says(`p${i}`, what, who, `operator ${operator}`),
  )

/** The same voices in another order have the same verdict. */
export const orderIndependence: Property = (make) =>
  fc.assert(
    fc.property(INIT, SPOKEN, fc.infiniteStream(fc.nat()), (init, spoken, keys) => {
      const voices = voicesOf(spoken)
      const shuffled = voices
        .map((voice) => ({ voice, key: keys.next().value ?? 0 }))
        .sort((a, b) => a.key - b.key)
        .map(({ voice }) => voice)
      const [one, other] = [voices, shuffled].map((heard) => JSON.stringify(normal(judged(make(init), heard))))
      if (one !== other) throw new Error(`${one} or ${other}`)
    }),
    { numRuns: 300 },
  )

/** One voice more for what is accepted: it is still accepted. So more agreement never lowers confidence below the goal. */
export const monotony: Property = (make) =>
  fc.assert(
    fc.property(INIT, SPOKEN, WHO, fc.nat(9), (init, spoken, who, operator) => {
      const voices = voicesOf(spoken)
      const verdict = judged(make(init), voices)
      if (verdict.kind !== 'accepted') return
      const further = says('one more', verdict.digest, who, `operator ${operator}`)
      const again = judged(make(init), [...voices, further])
      if (again.kind !== 'accepted' || again.digest !== verdict.digest) throw new Error(JSON.stringify(again))
    }),
    { numRuns: 1_000 },
  )

/** Given the voices it asks for, it ends: soon if they agree, and however they differ, were each to say something else. */
export const termination: Property = (make) =>
  fc.assert(
    fc.property(
      INIT,
      fc.array(SAID, { minLength: 40, maxLength: 40 }),
      fc.constantFrom('all agree', 'some agree', 'none agree'),
      WHO,
      (init, saids, how, who) => {
        const saying = (n: number): string => {
          if (how === 'all agree') return 'a'
          return how === 'none agree' ? `${n}` : (saids[n] ?? 'a').replace('!', '')
        }
        const voices: JudgedVoice[] = []
        for (let round = 0; round <= LIMITS.UNIT_VOICES_MAX; round++) {
          const verdict = judged(make(init), voices, { unit: 0, next: who })
          if (verdict.kind !== 'needs') return
          if (verdict.copies < 1) throw new Error('it needs nothing and decides nothing')
          for (let i = 0; i < verdict.copies; i++) {
            const n = voices.length
            voices.push(says(`p${n}`, saying(n), who))
          }
          if (voices.length > LIMITS.UNIT_VOICES_MAX) throw new Error(`${voices.length} voices`)
        }
        throw new Error('no end')
      },
    ),
    { numRuns: 300 },
  )

/** What it asks for is enough, if they agree, and one less is not. */
export const leastCopies: Property = (make) =>
  fc.assert(
    fc.property(INIT, SPOKEN, WHO, (init, spoken, next) => {
      const voices = voicesOf(spoken).filter(({ said }) => said.ok)
      const verdict = judged(make(init), voices, { unit: 0, next })
      const lead = leadOf(voices, assuming(init.f, init.c))
      if (verdict.kind !== 'needs' || lead === null) return
      const more = (count: number) => Array.from({ length: count }, (_, i) => says(`more ${i}`, lead, next))
      const after = (count: number) => judged(make(init), [...voices, ...more(count)], { unit: 0, next })
      const isDone = (then: Verdict) => then.kind === 'accepted' || (then.kind === 'needs' && then.later === true)
      if (!isDone(after(verdict.copies))) throw new Error(`${verdict.copies} are not enough`)
      if (verdict.copies > 1 && after(verdict.copies - 1).kind === 'accepted')
        throw new Error(`${verdict.copies} are too many`)
    }),
    { numRuns: 600 },
  )

/** The value with the best odds: those asked next most likely say it too. */
function leadOf(voices: JudgedVoice[], assumed: Assumptions): string | null {
  const odds = new Map<string, number>()
  for (const { said } of voices) {
    if (said.ok)
      odds.set(
        said.digest,
        logOdds(
          tallyOf(
            voices.filter((voice) => isSame(voice, said.digest)),
            assumed,
          ),
        ),
      )
  }
  const best = Math.max(...odds.values())
  return (
    [...odds]
      .filter(([, value]) => value === best)
      .map(([value]) => value)
      .sort()[0] ?? null
  )
}

const isSame = ({ said }: JudgedVoice, digest: string): boolean => said.ok && said.digest === digest

/** Who is named is a set, and what is summed up in another order may differ in the last bits. */
function normal(verdict: Verdict): object {
  const named = Object.entries(verdict).map(([key, value]) => [
    key,
    Array.isArray(value) ? value.map(String).sort() : typeof value === 'number' ? value.toPrecision(9) : value,
  ])
  return Object.fromEntries(named)
}
