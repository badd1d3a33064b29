/** The mesh as the rest of the node meets it: built, started, stopped, and moved to another mesh by a token. */

import type { PrivateKey } from '@libp2p/interface'
import { type ErrorCode, TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { type Chain, decodeToken, type MeshFacts, type MeshKind, type Token } from '../../protocol/membership/index.ts'
import type { Role } from '../../protocol/membership/roles.ts'
import { type Signer, signerOf } from '../../protocol/signatures.ts'
import type { AdContent } from './ads.ts'
import type { Handler } from './doors.ts'
import { redeemToken } from './enrolment.ts'
import { DHT_DEFAULT, type DhtSettings, type HostInit } from './host.ts'
import { loadIdentity, loadMesh, roleOf } from './identity.ts'
import type { Introduction } from './introductions.ts'
import type { AdmittedPeer, Channel, HeardPeer, Mesh, MeshEvent } from './mesh.ts'
import { type Refusal, Refusals } from './refusals.ts'
import { Session, type SessionComponents } from './session.ts'
import type { MeshStore } from './store.ts'
import type { TokenInfo, TokenOptions } from './tokens.ts'

type MeshComponents = { store: MeshStore }

export type MeshInit = {
  /** What this node offers, asked for whenever an ad is made. */
  describe: () => AdContent
  /** Multiaddrs to listen on. @default ['/ip4/0.0.0.0/tcp/0'] */
  listen?: string[]
  /** Multiaddrs to tell others instead of those listened on: for nodes behind a forwarded port. */
  announce?: string[]
  /** Listens nowhere; dials out and works over the connections it makes. @default false */
  outboundOnly?: boolean
  /** Finds peers of the same mesh on the LAN. @default true */
  mdns?: boolean
  dht?: Partial<DhtSettings>
  /** The mesh to found when the store knows none. @default a private mesh */
  found?: { kind: MeshKind; name: string }
}

type MeshStatus = {
  mesh: { id: string; kind: MeshKind; name: string }
  role: Role
  running: boolean
  /** What others are told to dial; empty for an outbound-only node. */
  addresses: string[]
  reach: 'dialable' | 'outbound'
  /** Connected peers by who dialled. A dialable node that never has an inbound one may be behind a firewall. */
  inbound: number
  outbound: number
  /** Contacts in the DHT's routing table. */
  dhtTable: number
  revocations: number
}

export async function createMesh({ store }: MeshComponents, init: MeshInit): Promise<MeshNode> {
  const key = await loadIdentity(store)
  const signer = signerOf(key)
  const facts = await loadMesh(store, signer, init.found ?? { kind: 'private', name: '' })
  return new MeshNode(store, key, signer, facts, init)
}

export class MeshNode implements Mesh {
  readonly peerId: string
  /** Signs as this peer: manifests, receipts. */
  readonly signer: Signer
  readonly #store: MeshStore
  readonly #key: PrivateKey
  readonly #init: MeshInit
  readonly #refusals = new Refusals()
  readonly #handlers = new Map<string, Handler>()
  readonly #listeners = new Set<(event: MeshEvent) => void>()
  #facts: MeshFacts
  #session: Session | undefined
  #wantsWork = false
  #turn: Promise<unknown> = Promise.resolve()

  constructor(store: MeshStore, key: PrivateKey, signer: Signer, facts: MeshFacts, init: MeshInit) {
    this.peerId = signer.peer
    this.signer = signer
    this.#store = store
    this.#key = key
    this.#facts = facts
    this.#init = init
  }

  get meshId(): string {
    return this.#facts.id
  }

  start(): Promise<void> {
    return this.#inTurn(() => this.#open())
  }

  stop(): Promise<void> {
    return this.#inTurn(() => this.#close())
  }

  peers(): AdmittedPeer[] {
    return this.#session?.peers.list() ?? []
  }

  heardOf(): HeardPeer[] {
    return this.#session?.heardOf() ?? []
  }

  /** Since a connected peer's last sign of life, milliseconds; null for any other. */
  lastSeenMs(peer: string): number | null {
    const heardAt = this.#session?.peers.get(peer)?.heardAt
    return heardAt === undefined ? null : performance.now() - heardAt
  }

  /** The certificates of this node or of a connected peer; empty for strangers. */
  chainOf(peer: string): Chain {
    if (peer === this.peerId) return (this.#session?.membership.facts ?? this.#facts).chain
    return this.#session?.peers.get(peer)?.admission.standing.chain ?? []
  }

  watch(listener: (event: MeshEvent) => void, signal: AbortSignal): void {
    if (signal.aborted) return
    this.#listeners.add(listener)
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true })
  }

  async open(peer: string, protocol: string, signal: AbortSignal): Promise<Channel> {
    return await this.#running().doors.open(peer, protocol, signal)
  }

  /** Survives stop, start and join. @throws E_INTERNAL when the protocol is served already */
  serve(protocol: string, handler: Handler): void {
    if (this.#handlers.has(protocol)) throw new TalkootError('E_INTERNAL', `${protocol} is served twice`)
    this.#handlers.set(protocol, handler)
    // It can only fail while stopping; the next start serves it again.
    this.#session?.doors.serve(protocol, handler).catch(() => undefined)
  }

  /** Dials a peer with which there is something to do, unless it is connected: a hint, without an answer. */
  meet(peer: Introduction): void {
    this.#session?.meet(peer)
  }

  wantWork(wanted: boolean): void {
    this.#wantsWork = wanted
    this.#session?.discovery.wantWork(wanted)
  }

  disconnect(peer: string, code: ErrorCode): void {
    this.#session?.cut(peer, code)
  }

  /** `describe()` would say something else now: connected peers are told within a second. */
  adChanged(): void {
    this.#session?.adChanged()
  }

  /** @throws E_NOT_ADMIN, E_USAGE, E_MESH_UNREACHABLE, E_NOT_RUNNING */
  createToken(options: TokenOptions): { text: string; info: TokenInfo } {
    const session = this.#running()
    return session.desk.create(options, { peer: this.peerId, addresses: session.addresses() })
  }

  /** Text that lets anyone into an open mesh. @throws E_USAGE in a private one, E_MESH_UNREACHABLE */
  invite(): string {
    const session = this.#running()
    return session.desk.invite({ peer: this.peerId, addresses: session.addresses() })
  }

  listTokens(): TokenInfo[] {
    return this.#running().desk.list()
  }

  /** @param members also cuts off, everywhere and for good, whoever joined with it. @throws E_NOT_FOUND, E_NOT_ADMIN */
  async revokeToken(id: string, { members }: { members: boolean }): Promise<void> {
    const session = this.#running()
    const revocation = await session.desk.revoke(id, { members })
    if (revocation !== undefined) session.spread(revocation)
  }

  /** Cuts a peer off, everywhere and for good. @throws E_NOT_ADMIN, E_USAGE for this node itself */
  async revokePeer(peer: string): Promise<void> {
    if (peer === this.peerId) throw new TalkootError('E_USAGE', 'a node does not revoke itself')
    const session = this.#running()
    session.spread(await session.membership.revoke({ peer }))
  }

  refusals(): Refusal[] {
    return this.#refusals.list()
  }

  /** What `status` and `doctor` tell of this node in its mesh. */
  status(): MeshStatus {
    const { id, kind, name } = this.#session?.membership.facts ?? this.#facts
    const session = this.#session
    const peers = this.peers()
    return {
      mesh: { id, kind, name },
      role: roleOf(this.#facts),
      running: session !== undefined,
      addresses: session?.addresses() ?? [],
      reach: this.#init.outboundOnly === true ? 'outbound' : 'dialable',
      inbound: peers.filter(({ direction }) => direction === 'inbound').length,
      outbound: peers.filter(({ direction }) => direction === 'outbound').length,
      dhtTable: session?.discovery.tableSize ?? 0,
      revocations: session?.membership.revocations().length ?? 0,
    }
  }

  /**
   * Leaves the mesh this node founded, if nobody ever joined it, for the token's; or renews its place in the same mesh.
   * @throws E_TOKEN_*, E_MESH_MISMATCH, E_MESH_UNREACHABLE, E_ALREADY_MEMBER, E_TOO_MANY_TRIES, E_HANDSHAKE, E_USAGE
   */
  join(text: string, signal: AbortSignal): Promise<void> {
    return this.#inTurn(() => this.#join(decodeToken(text), signal))
  }

  async #join(token: Token, signal: AbortSignal): Promise<void> {
    if (token.mesh !== this.#facts.id && !this.#isAlone()) {
      throw new TalkootError('E_ALREADY_MEMBER', `this node belongs to the mesh ${this.#facts.name || this.#facts.id}`)
    }
    if (token.mesh === this.#facts.id && this.#facts.key !== null) {
      throw new TalkootError('E_USAGE', 'this node founded that mesh and holds its key: there is nothing to join')
    }
    // A member that cannot renew its place now goes on with the one it has: it does not wait long for that.
    const rounds = token.mesh === this.#facts.id ? 1 : LIMITS.JOIN_ROUNDS
    const chain = token.grant === null ? [] : await redeemToken(token, this.#key, signal, { rounds })
    const running = this.#session !== undefined
    await this.#close()
    this.#facts = { id: token.mesh, kind: token.kind, name: token.name, chain, key: null }
    this.#store.keepMesh(this.#facts)
    this.#store.rememberPeer({ id: token.issuer, addresses: token.addresses })
    if (running) await this.#open()
  }

  /** Whether the mesh is this node's own founding and has never had another member. */
  #isAlone(): boolean {
    return this.#facts.key !== null && this.#store.tokens().every((token) => token.usesLeft === token.usesMax)
  }

  async #open(): Promise<void> {
    if (this.#session !== undefined) return
    this.#facts = this.#store.mesh() ?? this.#facts
    const components: SessionComponents = {
      store: this.#store,
      key: this.#key,
      signer: this.signer,
      refusals: this.#refusals,
      describe: this.#init.describe,
      emit: (event) => this.#emit(event),
    }
    const session = await Session.open(components, hostInit(this.#init), this.#facts)
    this.#session = session
    try {
      await session.start(this.#handlers)
      session.discovery.wantWork(this.#wantsWork)
    } catch (cause) {
      await this.#close()
      throw new TalkootError('E_PORT', `cannot listen on ${hostInit(this.#init).listen.join(', ')}`, { cause })
    }
  }

  async #close(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.stop()
  }

  #running(): Session {
    if (this.#session === undefined) throw new TalkootError('E_NOT_RUNNING', 'the mesh is not started')
    return this.#session
  }

  #emit(event: MeshEvent): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event)
      } catch {
        // One listener's failure is neither the mesh's nor the next listener's.
      }
    }
  }

  /** Start, stop and join one after the other, whatever each ended with. */
  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(action)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}

function hostInit(init: MeshInit): HostInit {
  return {
    listen: init.listen ?? ['/ip4/0.0.0.0/tcp/0'],
    announce: init.announce ?? [],
    outboundOnly: init.outboundOnly ?? false,
    mdns: init.mdns ?? true,
    dht: { ...DHT_DEFAULT, ...init.dht },
  }
}
