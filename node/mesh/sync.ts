/**
 * What connected members keep telling each other on one channel a connection: signs of life, changed ads, whom else they know,
 * revocations, renewed certificates, and why one hangs up. Messages are canonical CBOR maps with a type `t`.
 */

import { z } from 'zod'
import { type SignedAd, signedAdSchema } from '../../protocol/ad.ts'
import { canonicalBytes, decodeCanonical } from '../../protocol/canonical.ts'
import { type ErrorCode, isErrorCode, TalkootError } from '../../protocol/errors.ts'
import { parseToFirstFault } from '../../protocol/first-fault.ts'
import { framesOf } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import {
  type Chain,
  chainSchema,
  type SignedRevocation,
  signedRevocationSchema,
} from '../../protocol/membership/index.ts'
import type { AdReader } from './ads.ts'
import { Allowance } from './allowance.ts'
import { testimonySchema } from './hearsay.ts'
import { type Introductions, testimonyOf } from './introductions.ts'
import type { Membership } from './membership.ts'
import type { Channel } from './mesh.ts'
import type { PeerTable } from './peers.ts'
import { Pulse } from './pulse.ts'

export const SYNC_PROTOCOL = '/talkoot/sync/1'

const messageSchema = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('beat') }),
  z.strictObject({ t: z.literal('ad'), ad: signedAdSchema }),
  /** Asks for introductions to so many others: those known now, then those that come. */
  z.strictObject({ t: z.literal('ask'), count: z.int().min(1).max(LIMITS.PEERS_WANTED) }),
  z.strictObject({ t: z.literal('peers'), list: z.array(testimonySchema).max(LIMITS.PEERS_WANTED) }),
  z.strictObject({ t: z.literal('newcomer'), peer: testimonySchema }),
  z.strictObject({ t: z.literal('revocations'), list: z.array(signedRevocationSchema).max(LIMITS.REVOCATIONS_MAX) }),
  /** Asks an admin for a certificate of the same role with a later end. */
  z.strictObject({ t: z.literal('renew') }),
  z.strictObject({ t: z.literal('renewed'), chain: chainSchema }),
  z.strictObject({ t: z.literal('bye'), code: z.string().max(40) }),
])
type Message = z.infer<typeof messageSchema>

export type SyncComponents = {
  peers: PeerTable
  membership: Membership
  currentAd(): Promise<SignedAd>
  ads: AdReader
  introductions: Introductions
  cut(peer: string, code: ErrorCode): void
  /** A verified chain with a later end than the one held. */
  keepChain(chain: Chain): void
  /** The holder of the mesh key certifies itself again. */
  renewFounder(): Promise<void>
}

type Link = {
  channel: Channel
  adPending: boolean
  /** An answer is on its way: who asks and does not read is not answered meanwhile. */
  answering: boolean
  adWanted: boolean
  /** Introductions asked for and not made yet: by the peer, and by this node. */
  owed: number
  due: number
  /** When it was last told anything. */
  saidAt: number
}

export class Sync {
  readonly #components: SyncComponents
  readonly #links = new Map<string, Set<Link>>()
  readonly #byes = new Map<string, ErrorCode>()
  readonly #pulse: Pulse

  constructor(components: SyncComponents) {
    this.#components = components
    this.#pulse = new Pulse(LIMITS.PEER_BEAT_MS, (lateMs) => this.#beat(lateMs))
  }

  start(): void {
    this.#pulse.start()
  }

  stop(): void {
    this.#pulse.stop()
  }

  /** Runs until the channel ends. @throws E_FRAME for a message of another shape, E_FLOOD for too many, E_AD_INVALID */
  async attach(channel: Channel): Promise<void> {
    const link: Link = { channel, adPending: false, adWanted: false, answering: false, owed: 0, due: 0, saidAt: 0 }
    const links = this.#links.get(channel.peer) ?? new Set()
    this.#links.set(channel.peer, links.add(link))
    try {
      const bye = this.#byes.get(channel.peer)
      if (bye !== undefined) post(link, { t: 'bye', code: bye })
      this.#sendAd(link)
      this.#sendRevocations(link)
      link.due = this.#components.introductions.wanted()
      if (link.due > 0) post(link, { t: 'ask', count: link.due })
      // Each message costs a signature check or more.
      const allowance = new Allowance({
        burst: LIMITS.SYNC_BURST_MESSAGES,
        perSecond: LIMITS.SYNC_MESSAGES_PER_SECOND,
      })
      for await (const frame of channel) {
        if (!allowance.spend()) throw new TalkootError('E_FLOOD', 'too many sync messages')
        await this.#take(channel.peer, link, parse(frame))
      }
    } finally {
      links.delete(link)
      if (links.size === 0 && this.#links.get(channel.peer) === links) this.#links.delete(channel.peer)
    }
  }

  publishAd(): void {
    for (const links of this.#links.values()) for (const link of links) this.#sendAd(link)
  }

  /** Tells those who asked of a peer that came. */
  introduce(newcomer: string): void {
    const entry = this.#components.peers.get(newcomer)
    const peer = entry && testimonyOf(entry, performance.now())
    if (peer === undefined) return
    for (const [other, links] of this.#links) {
      const link = [...links].find(({ owed }) => owed > 0)
      if (other === newcomer || link === undefined) continue
      link.owed -= 1
      post(link, { t: 'newcomer', peer })
    }
  }

  /** To all but the peer it came from; each peer passes on only what was news to it, so this ends. */
  publishRevocations(list: SignedRevocation[], except?: string): void {
    for (const [peer, links] of this.#links) {
      if (peer !== except) for (const link of links) post(link, { t: 'revocations', list })
    }
  }

  /** Tells the peer why it is being cut off, by a channel that only now opens too, until `gone`. */
  bye(peer: string, code: ErrorCode): void {
    this.#byes.set(peer, code)
    for (const link of this.#links.get(peer) ?? []) post(link, { t: 'bye', code })
  }

  /** The connections that were cut are closed. */
  gone(peer: string): void {
    this.#byes.delete(peer)
  }

  /** Judges everyone connected again: a revocation may have arrived, a certificate run out. */
  recheckAll(): void {
    for (const [peer] of this.#components.peers.entries()) this.recheck(peer)
  }

  recheck(peer: string): void {
    const { peers, membership, cut } = this.#components
    try {
      membership.recheck(peers.get(peer)?.admission.standing.links ?? [])
    } catch (thrown) {
      cut(peer, TalkootError.from(thrown).code)
    }
  }

  async #beat(lateMs: number): Promise<void> {
    const { peers, membership, cut } = this.#components
    const now = performance.now()
    const slept = lateMs > LIMITS.PEER_BEAT_MS
    for (const [peer, entry] of peers.entries()) {
      // After a stall of this process or a sleep of the machine, nobody else is to blame for the silence.
      if (slept) entry.heardAt = now
      if (now - entry.heardAt > LIMITS.PEER_SILENCE_MS) cut(peer, 'E_UNREACHABLE')
      else if (now > entry.adUntil && !slept) cut(peer, 'E_AD_INVALID')
      else this.#showLife(peer, now)
    }
    this.recheckAll()
    if (membership.renewalDue()) await this.#renew()
  }

  /** Anything else that was said lately is a sign of life as well. */
  #showLife(peer: string, now: number): void {
    for (const link of this.#links.get(peer) ?? []) {
      if (now - link.saidAt > LIMITS.PEER_BEAT_MS / 2) post(link, { t: 'beat' })
    }
  }

  async #renew(): Promise<void> {
    const { peers, membership, renewFounder } = this.#components
    if (membership.facts.key !== null) return await renewFounder()
    const admins = peers.list().filter(({ id, role }) => role === 'admin' && membership.mayRenewFrom(id))
    const [link] = this.#links.get(admins[0]?.id ?? '') ?? []
    if (link !== undefined) post(link, { t: 'renew' })
  }

  async #take(peer: string, link: Link, message: Message): Promise<void> {
    const { peers, membership, introductions } = this.#components
    peers.heard(peer)
    switch (message.t) {
      case 'beat':
        return
      case 'ad':
        return await this.#takeAd(peer, message.ad)
      case 'ask': {
        if (link.answering) return
        const list = introductions.choose(peer, message.count)
        link.owed = message.count - list.length
        return list.length > 0 ? answer(link, { t: 'peers', list }) : undefined
      }
      case 'peers':
        return await introductions.take(asked(link, message.list))
      case 'newcomer':
        for (const newcomer of asked(link, [message.peer])) await introductions.takeNewcomer(newcomer)
        return
      case 'revocations':
        return await this.#learn(peer, message.list)
      case 'renew': {
        const leaf = peers.get(peer)?.admission.standing.links[0]
        if (leaf === undefined || leaf.token === null || link.answering) return
        return answer(link, { t: 'renewed', chain: await membership.admit(peer, leaf.role, leaf.token) })
      }
      case 'renewed':
        return await this.#renewed(message.chain)
      case 'bye':
        return this.#components.cut(peer, isErrorCode(message.code) ? message.code : 'E_UNREACHABLE')
    }
  }

  /** An older ad is no offence: it may have come by the other of two connections. */
  async #takeAd(peer: string, signed: SignedAd): Promise<void> {
    const { ads, peers } = this.#components
    const ad = await ads.read(peer, signed)
    if (ads.isCurrent(ad)) peers.takeAd(peer, ad, signed)
  }

  async #learn(peer: string, list: SignedRevocation[]): Promise<void> {
    const news: SignedRevocation[] = []
    for (const signed of list) if (await this.#components.membership.learn(signed)) news.push(signed)
    if (news.length === 0) return
    this.publishRevocations(news, peer)
    this.recheckAll()
  }

  async #renewed(chain: Chain): Promise<void> {
    if (await this.#components.membership.isBetter(chain)) this.#components.keepChain(chain)
  }

  /** The newest ad only: while one is on its way to a slow peer, any number of changes become one more. */
  #sendAd(link: Link): void {
    link.adWanted = true
    if (link.adPending) return
    link.adPending = true
    void this.#drainAds(link)
  }

  async #drainAds(link: Link): Promise<void> {
    try {
      while (link.adWanted) {
        link.adWanted = false
        link.saidAt = performance.now()
        await link.channel.send(canonicalBytes({ t: 'ad', ad: await this.#components.currentAd() }))
      }
    } catch {
      link.adWanted = false
    } finally {
      link.adPending = false
    }
  }

  #sendRevocations(link: Link): void {
    const { peers, membership } = this.#components
    const theirs = peers.get(link.channel.peer)?.admission.revocationsDigest
    if (theirs === membership.revocationsDigest()) return
    const bytesOf = (signed: SignedRevocation) => canonicalBytes(signed).length
    for (const list of framesOf(membership.revocations(), bytesOf)) post(link, { t: 'revocations', list })
  }
}

/** Each costs a few signature checks: no more are looked at than were asked for. */
function asked<T>(link: Link, list: readonly T[]): readonly T[] {
  const taken = list.slice(0, link.due)
  link.due -= taken.length
  return taken
}

/** Sent when there is room; a channel that ends meanwhile takes the message with it. */
function post(link: Link, message: Message): void {
  link.saidAt = performance.now()
  link.channel.send(canonicalBytes(message)).catch(() => undefined)
}

/** One at a time, and the next is asked for only when it has gone. */
function answer(link: Link, message: Message): void {
  link.answering = true
  link.saidAt = performance.now()
  const sent = link.channel.send(canonicalBytes(message)).catch(() => undefined)
  void sent.then(() => {
    link.answering = false
  })
}

function parse(frame: Uint8Array): Message {
  const parsed = parseToFirstFault(messageSchema, decoded(frame))
  if (parsed.success) return parsed.data
  throw new TalkootError('E_FRAME', 'a sync message of no known shape')
}

function decoded(frame: Uint8Array): unknown {
  try {
    return decodeCanonical(frame)
  } catch (cause) {
    throw new TalkootError('E_FRAME', 'a sync message that is not canonical CBOR', { cause })
  }
}
