/**
 * What is known of one peer, and how often a result of it is bad: the error rate of Sarmenta 2002, section 4.
 * Derivation and limits: docs/verification.md.
 */

import type { Credit, JudgedVoice, Voter } from './verification.ts'

type ByTrust = Readonly<Record<JudgedVoice['trust'], number>>

/** What the submitter takes to be true. The confidence reached holds as far as these do. */
export type Assumptions = {
  /** f: the share of bad peers among those of a class that have shown nothing yet. */
  readonly bad: ByTrust
  /** c: the chance that a bad result of a peer of this class agrees with another bad result. 1: all tell the same lie. */
  readonly collusion: ByTrust
  /** The share of units that a second peer checks even where one word would do. */
  readonly checkShare: number
  /** What a peer has shown counts half after this time. */
  readonly halfLifeMs: number
}

/** Strangers: one in five lies, and all that lie tell the same lie. Members: accidents, one machine in a hundred. */
export const ASSUMED: Assumptions = {
  bad: { self: 0, member: 0.01, stranger: 0.2 },
  collusion: { self: 0.01, member: 0.01, stranger: 1 },
  checkShare: 0.05,
  halfLifeMs: 30 * 24 * 3_600_000,
}

/** Even our own machine errs: memory flips. It also keeps every logarithm finite. */
const ERROR_MIN = 1e-9
/** A word worth nothing: as likely bad as good. */
const ERROR_MAX = 0.5
/** Credit beyond this is not kept: no history, however long, makes one word worth more. */
const CHECKS_MAX = 10_000
/** A catch that has faded below this is forgotten: three half-lives. */
const CAUGHT_MIN = 1 / 8
/** A peer once caught must survive this many canaries, for each catch, before it is given real work again. */
const PROBATION_CHECKS = 10
/** After so many checks a peer is given as much as it can take. */
const SLOW_START_CHECKS = 8
/** It is left in peace so long before the first of them, doubled with each further catch. */
const PROBATION_REST_MS = 3_600_000
const PROBATION_DOUBLINGS_MAX = 10

/**
 * e: the probability that one result of a peer is bad. For k checks survived by a peer whose class is bad with
 * probability f: f for k = 0, else f / ((1 - f) e k), whatever the rate at which it lies. Who was caught j times is bad
 * for certain, on one result in e k / j since. `moreChecks` are added to what its credit has.
 */
export function errorRate({ trust, credit }: Voter, { bad }: Assumptions, moreChecks = 0): number {
  const { checks, caught } = credit ?? NEWCOMER
  const f = caught > 0 ? ERROR_MAX : Math.min(bad[trust], ERROR_MAX)
  const k = (checks + moreChecks) / (caught > 0 ? caught : 1)
  const rate = k > 0 ? Math.min(f, f / ((1 - f) * Math.E * k)) : f
  return Math.max(rate, ERROR_MIN)
}

export const NEWCOMER: Credit = { checks: 0, caught: 0 }

/** Credit as it was at `at`; milliseconds on this machine's own clock. */
export type Evidence = Credit & { at: number }

export function aged({ checks, caught, at }: Evidence, now: number, { halfLifeMs }: Assumptions): Evidence {
  const left = 0.5 ** (Math.max(0, now - at) / halfLifeMs)
  return { checks: checks * left, caught: caught * left < CAUGHT_MIN ? 0 : caught * left, at: now }
}

/** Its word was confirmed by an independent peer, `times` over. */
export function survived(evidence: Evidence, now: number, assumed: Assumptions, times = 1): Evidence {
  const { checks, caught } = aged(evidence, now, assumed)
  return { checks: Math.min(checks + times, CHECKS_MAX), caught, at: now }
}

/** It said something else than what was accepted on the word of two or more: its history is worth nothing. */
export function caught(evidence: Evidence, now: number, assumed: Assumptions): Evidence {
  return { checks: 0, caught: aged(evidence, now, assumed).caught + 1, at: now }
}

/** The unit it was caught on was decided otherwise after all: it stands as it did before, `lost`, and a check better. */
export function exonerated(evidence: Evidence, lost: Evidence, now: number, assumed: Assumptions): Evidence {
  const [present, past] = [aged(evidence, now, assumed), aged(lost, now, assumed)]
  const checks = Math.min(present.checks + past.checks + 1, CHECKS_MAX)
  return { checks, caught: Math.max(0, present.caught - 1), at: now }
}

/**
 * Undecided units a peer may have at once: one for a newcomer, doubled with every check. Who answers without computing
 * would be asked more often than the others, and the share of bad results be higher than that of bad peers.
 */
export const undecidedMax = ({ checks }: Credit): number =>
  checks >= SLOW_START_CHECKS ? Infinity : 2 ** Math.floor(checks)

/**
 * What a peer may be given. `canary`: only settled units, to see what it says; `rest`: nothing yet. A newcomer gets work: its
 * copies decide units and check others as well, for no more executions than canaries would cost.
 */
export function admission({ checks, caught, at }: Evidence, now: number): 'work' | 'canary' | 'rest' {
  if (caught === 0) return 'work'
  if (checks >= PROBATION_CHECKS * caught) return 'work'
  const restMs = PROBATION_REST_MS * 2 ** Math.min(Math.max(0, Math.ceil(caught) - 1), PROBATION_DOUBLINGS_MAX)
  return checks === 0 && now - at < restMs ? 'rest' : 'canary'
}
