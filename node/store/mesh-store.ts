/** What the mesh keeps between runs, in the ledger: identity, membership, tokens, revocations, known peers. */

import { canonicalBytes, decodeCanonical } from '../../protocol/canonical.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type {
  CertifiedRole,
  MeshFacts,
  RememberedPeer,
  SignedRevocation,
  TokenRecord,
} from '../../protocol/membership/index.ts'
import type { Ledger } from './ledger.ts'

export class SqliteMeshStore {
  readonly #ledger: Ledger

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  identity(): Uint8Array | undefined {
    return this.#fact('identity')
  }

  keepIdentity(key: Uint8Array): void {
    this.#keepFact('identity', key)
  }

  mesh(): MeshFacts | undefined {
    const bytes = this.#fact('mesh')
    return bytes === undefined ? undefined : (decodeCanonical(bytes) as MeshFacts)
  }

  keepMesh(mesh: MeshFacts): void {
    const isOther = this.mesh()?.id !== mesh.id
    this.#ledger.transaction(() => {
      this.#keepFact('mesh', canonicalBytes(mesh))
      if (isOther) {
        this.#ledger.db.exec(
          'DELETE FROM tokens; DELETE FROM token_users; DELETE FROM revocations; DELETE FROM known_peers',
        )
      }
    })
  }

  tokens(): TokenRecord[] {
    return this.#ledger.db.prepare('SELECT * FROM tokens ORDER BY created_ms').all().map(toToken)
  }

  addToken(token: TokenRecord): void {
    this.#ledger.db
      .prepare('INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
      .run(
        token.id,
        token.secretHash,
        token.role,
        token.usesMax,
        token.usesLeft,
        token.createdAt,
        token.expiresAt,
        token.revoked ? 1 : 0,
      )
  }

  useToken(id: string, peer: string): boolean {
    return this.#ledger.transaction(() => {
      const token = this.tokens().find((candidate) => candidate.id === id)
      if (token === undefined || token.revoked) return false
      const used = this.#ledger.db.prepare('SELECT 1 FROM token_users WHERE token = ? AND peer = ?').get(id, peer)
      if (used !== undefined) return true
      if (token.usesLeft === 0) return false
      this.#ledger.db.prepare('UPDATE tokens SET uses_left = uses_left - 1 WHERE id = ?').run(id)
      this.#ledger.db.prepare('INSERT INTO token_users VALUES (?, ?)').run(id, peer)
      return true
    })
  }

  /** Peers that joined with a token. */
  tokenUsers(id: string): string[] {
    return this.#ledger.db
      .prepare('SELECT peer FROM token_users WHERE token = ?')
      .all(id)
      .map((row) => String(row.peer))
  }

  revokeToken(id: string): boolean {
    return this.#ledger.db.prepare('UPDATE tokens SET revoked = 1 WHERE id = ?').run(id).changes > 0
  }

  forgetToken(id: string): void {
    this.#ledger.transaction(() => {
      this.#ledger.db.prepare('DELETE FROM tokens WHERE id = ?').run(id)
      this.#ledger.db.prepare('DELETE FROM token_users WHERE token = ?').run(id)
    })
  }

  revocations(): SignedRevocation[] {
    return this.#ledger.db
      .prepare('SELECT revocation FROM revocations')
      .all()
      .map((row) => decodeCanonical(row.revocation as Uint8Array) as SignedRevocation)
  }

  addRevocation(id: string, revocation: SignedRevocation): void {
    this.#ledger.db.prepare('INSERT OR IGNORE INTO revocations VALUES (?, ?)').run(id, canonicalBytes(revocation))
  }

  peers(): RememberedPeer[] {
    return this.#ledger.db
      .prepare('SELECT id, addresses FROM known_peers ORDER BY n DESC')
      .all()
      .map((row) => ({ id: String(row.id), addresses: JSON.parse(String(row.addresses)) }))
  }

  rememberPeer({ id, addresses }: RememberedPeer): void {
    const { db } = this.#ledger
    this.#ledger.transaction(() => {
      db.prepare('DELETE FROM known_peers WHERE id = ?').run(id)
      db.prepare('INSERT INTO known_peers (id, addresses) VALUES (?, ?)').run(id, JSON.stringify(addresses))
      db.prepare('DELETE FROM known_peers WHERE n NOT IN (SELECT n FROM known_peers ORDER BY n DESC LIMIT ?)').run(
        LIMITS.PEERS_REMEMBERED_MAX,
      )
    })
  }

  forgetPeer(id: string): void {
    this.#ledger.db.prepare('DELETE FROM known_peers WHERE id = ?').run(id)
  }

  adSeq(): number {
    const bytes = this.#fact('ad-seq')
    return bytes === undefined ? 0 : Number(new TextDecoder().decode(bytes))
  }

  keepAdSeq(seq: number): void {
    this.#keepFact('ad-seq', new TextEncoder().encode(String(seq)))
  }

  #fact(key: string): Uint8Array | undefined {
    const row = this.#ledger.db.prepare('SELECT value FROM facts WHERE key = ?').get(key)
    return row === undefined ? undefined : (row.value as Uint8Array)
  }

  #keepFact(key: string, value: Uint8Array): void {
    this.#ledger.db.prepare('INSERT OR REPLACE INTO facts VALUES (?, ?)').run(key, value)
  }
}

function toToken(row: Record<string, unknown>): TokenRecord {
  return {
    id: String(row.id),
    secretHash: row.secret_hash as Uint8Array,
    role: String(row.role) as CertifiedRole,
    usesMax: Number(row.uses_max),
    usesLeft: Number(row.uses_left),
    createdAt: Number(row.created_ms),
    expiresAt: Number(row.expires_ms),
    revoked: row.revoked === 1,
  }
}
