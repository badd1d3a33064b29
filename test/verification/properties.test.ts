import { describe, expect, test } from 'vitest'
import type { JudgedVoice, Verification } from '../../node/jobs/verification/verification.ts'
import { leastCopies, monotony, orderIndependence, type Property, termination } from './properties.ts'
import { confidence } from './voices.ts'

const PROPERTIES: Record<string, Property> = {
  'the order of the voices does not matter': orderIndependence,
  'more agreement never takes an acceptance back': monotony,
  'it comes to an end': termination,
  'it asks for the fewest voices that would do': leastCopies,
}

describe('what holds of every judge', () => {
  test.each(Object.entries(PROPERTIES))('%s', (_, property) => {
    property(confidence)
  })
})

/** Bugs put in on purpose: each must break a property. */
const judging = (change: (real: Verification, voices: readonly JudgedVoice[]) => Verification['judge']) => {
  return (init: Parameters<typeof confidence>[0]): Verification => {
    const real = confidence(init)
    return { ...real, judge: (voices, ...rest) => change(real, voices)(voices, ...rest) }
  }
}

const PLANTS: [string, Property, Parameters<Property>[0]][] = [
  [
    'the first voice counts twice',
    orderIndependence,
    judging((real, voices) => (_, ...rest) => {
      const [first] = voices
      const echo = first === undefined ? [] : [{ ...first, peer: 'echo', independence: [] }]
      return real.judge([...voices, ...echo], ...rest)
    }),
  ],
  [
    'a peer that was caught counts against its own group',
    monotony,
    judging((real, voices) => (_, ...rest) => {
      const caught = voices.filter(({ credit }) => (credit?.caught ?? 0) > 0)
      const turned = caught.map((voice) => ({ ...voice, said: { ok: true as const, digest: 'zzz', value: '' } }))
      return real.judge([...voices.filter((voice) => !caught.includes(voice)), ...turned], ...rest)
    }),
  ],
  [
    'it asks for another voice for ever',
    termination,
    judging((real) => (voices, ...rest) => {
      const verdict = real.judge(voices, ...rest)
      return verdict.kind === 'impossible' ? { kind: 'needs', copies: 1 } : verdict
    }),
  ],
  [
    'it asks for one voice more than would do',
    leastCopies,
    judging((real) => (voices, ...rest) => {
      const verdict = real.judge(voices, ...rest)
      return verdict.kind === 'needs' ? { ...verdict, copies: verdict.copies + 1 } : verdict
    }),
  ],
  [
    'it asks for one voice where more are needed',
    leastCopies,
    judging((real) => (voices, ...rest) => {
      const verdict = real.judge(voices, ...rest)
      return verdict.kind === 'needs' ? { ...verdict, copies: 1 } : verdict
    }),
  ],
]

describe('bugs put in on purpose go red', () => {
  test.each(PLANTS)('%s', (_, property, planted) => {
    expect(() => property(planted)).toThrow()
  })
})
