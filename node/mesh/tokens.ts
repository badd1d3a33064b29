/** The desk where this node's own join tokens are made, redeemed and revoked. Only this node's clock judges their age. */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { base32 } from 'multiformats/bases/base32'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import {
  type CertifiedRole,
  type Chain,
  encodeToken,
  type SignedRevocation,
  type TokenRecord,
} from '../../protocol/membership/index.ts'
import type { Membership } from './membership.ts'
import type { MeshStore } from './store.ts'

export type TokenOptions = {
  /** Machines it admits, 1 to `TOKEN_USES_MAX`. */
  uses: number
  /** 1 to `TOKEN_TTL_MAX_MS`. */
  ttlMs: number
  role: CertifiedRole
}

type TokenState = 'live' | 'expired' | 'revoked' | 'used'

export type TokenInfo = Omit<TokenRecord, 'secretHash' | 'revoked'> & { state: TokenState }

type Issuer = { peer: string; addresses: string[] }

export class TokenDesk {
  readonly #store: MeshStore
  readonly #membership: Membership

  constructor(store: MeshStore, membership: Membership) {
    this.#store = store
    this.#membership = membership
  }

  /** @throws E_NOT_ADMIN, E_USAGE for options out of bounds, E_MESH_UNREACHABLE when nobody could dial the issuer */
  create(options: TokenOptions, issuer: Issuer): { text: string; info: TokenInfo } {
    this.#membership.requireAdmin()
    checkOptions(options)
    this.#makeRoom()
    const secret = Uint8Array.from(randomBytes(16))
    const now = Date.now()
    const record: TokenRecord = {
      id: base32.baseEncode(randomBytes(10)),
      secretHash: hashOf(secret),
      role: options.role,
      usesMax: options.uses,
      usesLeft: options.uses,
      createdAt: now,
      expiresAt: now + options.ttlMs,
      revoked: false,
    }
    const text = this.#encode(issuer, { id: record.id, secret, role: record.role })
    this.#store.addToken(record)
    return { text, info: infoOf(record, now) }
  }

  /** An invitation to an open mesh: it admits strangers and cannot be used up. @throws E_USAGE in a private mesh */
  invite(issuer: Issuer): string {
    if (this.#membership.facts.kind !== 'open') throw new TalkootError('E_USAGE', 'a private mesh admits by token only')
    return this.#encode(issuer, null)
  }

  list(): TokenInfo[] {
    const now = Date.now()
    return this.#store.tokens().map((record) => infoOf(record, now))
  }

  /** `members`: also revokes the certificates given for it. @throws E_NOT_FOUND, E_NOT_ADMIN */
  async revoke(id: string, { members }: { members: boolean }): Promise<SignedRevocation | undefined> {
    if (!this.#store.revokeToken(id)) throw new TalkootError('E_NOT_FOUND', `there is no token ${id}`)
    return members ? await this.#membership.revoke({ token: id }) : undefined
  }

  /** @throws E_TOKEN_WRONG, E_TOKEN_EXPIRED, E_TOKEN_REVOKED, E_TOKEN_USED, E_NOT_ADMIN */
  async redeem(peer: string, id: string, secret: Uint8Array): Promise<Chain> {
    const record = this.#store.tokens().find((token) => token.id === id)
    // An unknown id takes the same steps and time as a wrong secret.
    const right = timingSafeEqual(record?.secretHash ?? hashOf(new Uint8Array()), hashOf(secret))
    if (record === undefined || !right) throw new TalkootError('E_TOKEN_WRONG', 'this node issued no such token')
    if (record.revoked) throw new TalkootError('E_TOKEN_REVOKED', 'the token was revoked')
    if (Date.now() > record.expiresAt) throw new TalkootError('E_TOKEN_EXPIRED', 'the token has expired')
    const chain = await this.#membership.admit(peer, record.role, id)
    await this.#membership.judge(peer, chain)
    if (!this.#store.useToken(id, peer)) throw new TalkootError('E_TOKEN_USED', 'the token has no uses left')
    return chain
  }

  #encode({ peer, addresses }: Issuer, grant: { id: string; secret: Uint8Array; role: CertifiedRole } | null): string {
    if (addresses.length === 0) {
      throw new TalkootError('E_MESH_UNREACHABLE', 'this node cannot be dialled, so nobody could use its token')
    }
    const { id: mesh, kind, name } = this.#membership.facts
    const told = addresses.slice(0, LIMITS.TOKEN_ADDRESSES_MAX)
    return encodeToken({ v: 1, mesh, kind, name, issuer: peer, grant, addresses: told })
  }

  #makeRoom(): void {
    const infos = this.list()
    if (infos.length < LIMITS.TOKENS_LIVE_MAX) return
    const dead = infos.find((info) => info.state !== 'live')
    if (dead === undefined)
      throw new TalkootError('E_USAGE', `there are ${LIMITS.TOKENS_LIVE_MAX} live tokens: revoke some`)
    this.#store.forgetToken(dead.id)
  }
}

function checkOptions({ uses, ttlMs }: TokenOptions): void {
  if (!Number.isInteger(uses) || uses < 1 || uses > LIMITS.TOKEN_USES_MAX) {
    throw new TalkootError('E_USAGE', `a token has 1 to ${LIMITS.TOKEN_USES_MAX} uses`)
  }
  if (!Number.isInteger(ttlMs) || ttlMs < 1 || ttlMs > LIMITS.TOKEN_TTL_MAX_MS) {
    throw new TalkootError('E_USAGE', `a token lives 1 to ${LIMITS.TOKEN_TTL_MAX_MS} ms`)
  }
}

const hashOf = (secret: Uint8Array) => Uint8Array.from(createHash('sha256').update(secret).digest())

function infoOf({ secretHash: _, revoked, ...record }: TokenRecord, now: number): TokenInfo {
  if (revoked) return { ...record, state: 'revoked' }
  if (now > record.expiresAt) return { ...record, state: 'expired' }
  return { ...record, state: record.usesLeft === 0 ? 'used' : 'live' }
}
