/** Rules on peers, in the ledger and in memory: they are asked for on every admission. */

import type { Ad } from '../../protocol/ad.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import {
  operatorOf,
  type PeerRule,
  type PeerVerdict,
  type RuleRequest,
  type RuleTarget,
} from '../../protocol/peer-rules.ts'
import type { Ledger } from './ledger.ts'

type Kept = RuleTarget & { verdict: PeerVerdict; reason: string; sinceMs: number }

export class PeerRuleStore {
  readonly #ledger: Ledger
  /** This machine's wall clock, for ages only. */
  readonly #wallClock: () => number
  readonly #rules = new Map<string, Kept>()
  readonly #listeners = new Set<() => void>()

  constructor({ ledger, wallClock }: { ledger: Ledger; wallClock(): number }) {
    this.#ledger = ledger
    this.#wallClock = wallClock
    for (const row of ledger.db.prepare('SELECT * FROM peer_rules ORDER BY since_ms').all()) {
      const rule: Kept = {
        kind: String(row.kind) as Kept['kind'],
        who: String(row.who),
        verdict: String(row.verdict) as PeerVerdict,
        reason: String(row.reason),
        sinceMs: Number(row.since_ms),
      }
      this.#rules.set(keyOf(rule), rule)
    }
  }

  /** Calls back after each change until the signal aborts. */
  watch(listener: () => void, signal: AbortSignal): void {
    this.#listeners.add(listener)
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true })
  }

  /** Oldest first. */
  list(): PeerRule[] {
    return [...this.#rules.values()].map((rule) => this.#shown(rule))
  }

  /** What holds for a peer with this ad, where one is known: a rule of its own before that of its operator. */
  of(peer: string, ad: Pick<Ad, 'labels'> | null): PeerRule | null {
    const operator = ad === null ? null : operatorOf(ad)
    const rule =
      this.#rules.get(keyOf({ kind: 'peer', who: peer })) ??
      (operator === null ? undefined : this.#rules.get(keyOf({ kind: 'operator', who: operator })))
    return rule === undefined ? null : this.#shown(rule)
  }

  /** On disk and in force when it returns; takes the place of what was said before. @throws E_USAGE when there are too many, E_DISK_FULL */
  set(target: RuleTarget, { verdict, reason }: RuleRequest): void {
    const rule: Kept = { ...target, verdict, reason, sinceMs: this.#wallClock() }
    const key = keyOf(rule)
    if (!this.#rules.has(key) && this.#rules.size >= LIMITS.PEER_RULES_MAX) {
      throw new TalkootError('E_USAGE', `there are ${LIMITS.PEER_RULES_MAX} rules on peers already`)
    }
    this.#ledger.transaction(() =>
      this.#ledger.db
        .prepare('INSERT OR REPLACE INTO peer_rules VALUES (?, ?, ?, ?, ?)')
        .run(rule.kind, rule.who, verdict, reason, rule.sinceMs),
    )
    this.#rules.delete(key)
    this.#rules.set(key, rule)
    this.#tell()
  }

  /** False when there was no such rule. @throws E_DISK_FULL */
  clear({ kind, who }: RuleTarget, verdict: PeerVerdict): boolean {
    const key = keyOf({ kind, who })
    if (this.#rules.get(key)?.verdict !== verdict) return false
    this.#ledger.transaction(() =>
      this.#ledger.db.prepare('DELETE FROM peer_rules WHERE kind = ? AND who = ?').run(kind, who),
    )
    this.#rules.delete(key)
    this.#tell()
    return true
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }

  #shown({ sinceMs, ...rule }: Kept): PeerRule {
    return { ...rule, forMs: Math.max(0, this.#wallClock() - sinceMs) }
  }
}

const keyOf = ({ kind, who }: RuleTarget): string => `${kind} ${who}`
