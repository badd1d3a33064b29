/** First-hand evidence about peers: what this node saw itself, counted. */

import { LIMITS } from '../../protocol/limits.ts'
import type { PeerEvidence } from '../../protocol/peer-credit.ts'
import type { Ledger } from './ledger.ts'
import type { PeerNumbers } from './peer-numbers.ts'

/** `served`: slot time of accepted work, milliseconds; the others count units. */
export type EvidenceKind = 'agreed' | 'outvoted' | 'lapsed' | 'faulty' | 'served'
/** Checks survived since it was last caught, and how often that was. */
type Credit = { checks: number; caught: number }
/** `job`: its number in this ledger. */
type CaughtOn = { job: number; unit: number; peer: string }
export type Standing = Record<Exclude<EvidenceKind, 'served'>, number>

export class EvidenceStore {
  readonly #ledger: Ledger
  readonly #peers: PeerNumbers

  constructor(components: { ledger: Ledger; peers: PeerNumbers }) {
    this.#ledger = components.ledger
    this.#peers = components.peers
  }

  add(peer: string, kind: EvidenceKind, count: number): void {
    const n = this.#rowOf(peer)
    this.#ledger.db.prepare(`UPDATE evidence SET ${kind} = ${kind} + ? WHERE peer = ?`).run(count, n)
  }

  /** What the peer's word is worth at `atMs` of this machine's clock: replaces what was known. */
  keepCredit(peer: string, { checks, caught }: Credit, atMs: number): void {
    const n = this.#rowOf(peer)
    this.#ledger.db
      .prepare('UPDATE evidence SET checks = ?, caught = ?, credited_ms = ? WHERE peer = ?')
      .run(checks, caught, atMs, n)
  }

  /** Null: nothing was kept of the peer. */
  creditAt(peer: string, nowMs: number): (Credit & { ageMs: number }) | null {
    const row = this.#ledger.db
      .prepare('SELECT checks, caught, credited_ms FROM evidence WHERE peer = ? AND credited_ms > 0')
      .get(this.#peers.find(peer))
    if (row === undefined) return null
    const ageMs = Math.max(0, nowMs - Number(row.credited_ms))
    return { checks: Number(row.checks), caught: Number(row.caught), ageMs }
  }

  /** `lost`: what the peer's word was worth at `atMs`, before it was caught on the unit. */
  keepCatch({ job, unit, peer, checks, caught }: Credit & CaughtOn, atMs: number): void {
    this.#ledger.db
      .prepare('INSERT OR IGNORE INTO catches (job, unit, peer, checks, caught, at_ms) VALUES (?, ?, ?, ?, ?, ?)')
      .run(job, unit, this.#peers.numberOf(peer), checks, caught, atMs)
  }

  /** Of the newest units of a job on which somebody was caught, those that were not cleared. */
  catchesIn(job: number, nowMs: number): (Credit & Omit<CaughtOn, 'job'> & { ageMs: number })[] {
    return this.#ledger.db
      .prepare('SELECT * FROM catches WHERE job = ? ORDER BY at_ms DESC LIMIT ?')
      .all(job, LIMITS.CATCHES_KEPT_MAX)
      .map((row) => ({
        unit: Number(row.unit),
        peer: this.#peers.idOf(Number(row.peer)),
        checks: Number(row.checks),
        caught: Number(row.caught),
        ageMs: Math.max(0, nowMs - Number(row.at_ms)),
      }))
      .reverse()
  }

  /** Nothing more can be given back for this unit of the job; null: for none of its units. */
  forgetCatches(job: number, unit: number | null): void {
    this.#ledger.db.prepare('DELETE FROM catches WHERE job = ?1 AND unit = COALESCE(?2, unit)').run(job, unit)
  }

  isCaught(peer: string): boolean {
    const row = this.#ledger.db.prepare('SELECT caught FROM evidence WHERE peer = ?').get(this.#peers.find(peer))
    return Number(row?.caught ?? 0) > 0
  }

  /** Peers of which it is known that they gave a wrong value. */
  everCaught(): string[] {
    return this.#ledger.db
      .prepare('SELECT peer FROM evidence WHERE caught > 0')
      .all()
      .map((row) => this.#peers.idOf(Number(row.peer)))
  }

  /** Slot time the peer has done for this node, milliseconds. */
  servedMs(peer: string): number {
    const row = this.#ledger.db.prepare('SELECT served FROM evidence WHERE peer = ?').get(this.#peers.find(peer))
    return Number(row?.served ?? 0)
  }

  /** Of every peer of which anything was seen, by id. */
  all(nowMs: number): PeerEvidence['peers'] {
    return this.#ledger.db
      .prepare('SELECT peers.id, evidence.* FROM evidence JOIN peers ON peers.n = evidence.peer ORDER BY peers.id')
      .all()
      .map((row) => ({
        peer: String(row.id),
        agreed: Number(row.agreed),
        outvoted: Number(row.outvoted),
        lapsed: Number(row.lapsed),
        faulty: Number(row.faulty),
        servedMs: Number(row.served),
        checks: Number(row.checks),
        caught: Number(row.caught),
        creditedAgoMs: row.credited_ms === 0 ? null : Math.max(0, nowMs - Number(row.credited_ms)),
      }))
  }

  standing(peer: string): Standing {
    const row = this.#ledger.db.prepare('SELECT * FROM evidence WHERE peer = ?').get(this.#peers.find(peer))
    const of = (kind: EvidenceKind) => Number(row?.[kind] ?? 0)
    return {
      agreed: of('agreed'),
      outvoted: of('outvoted'),
      lapsed: of('lapsed'),
      faulty: of('faulty'),
    }
  }

  #rowOf(peer: string): number {
    const n = this.#peers.numberOf(peer)
    this.#ledger.db
      .prepare('INSERT OR IGNORE INTO evidence (peer, agreed, outvoted, lapsed, faulty) VALUES (?, 0, 0, 0, 0)')
      .run(n)
    return n
  }
}
