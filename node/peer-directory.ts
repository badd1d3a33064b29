/** The peers as a person asks for them: what the mesh says, what was seen of each, what was decided of each. */

import { peerIdFromString } from '@libp2p/peer-id'
import type { Ad } from '../protocol/ad.ts'
import type { PeerInfo, Peers } from '../protocol/api-peers.ts'
import { TalkootError } from '../protocol/errors.ts'
import type { PeerRule, PeerRules, PeerVerdict, RuleRequest, RuleTarget } from '../protocol/peer-rules.ts'
import { trustIn } from './jobs/known-peers.ts'
import { creditOf } from './jobs/peer-credit.ts'
import type { MeshNode } from './mesh/create.ts'
import type { AdmittedPeer, HeardPeer } from './mesh/mesh.ts'
import type { EvidenceStore } from './store/evidence.ts'
import type { PeerRuleStore } from './store/peer-rules.ts'
import type { ShareFacts, Worker } from './worker/worker.ts'

/** From this many outvoted results on, one in twenty of all, a peer is called a liar; and who is caught while a confidence is asked. */
const LIAR_OUTVOTED_MIN = 3
const LIAR_SHARE = 0.05

type Components = {
  mesh: MeshNode
  worker: Worker
  evidence: EvidenceStore
  rules: PeerRuleStore
  ownAd(): Ad
}

/** This node and its peers, with what this node has seen of each. */
export class PeerDirectory {
  readonly #components: Components

  constructor(components: Components) {
    this.#components = components
  }

  list(): Peers {
    const { mesh } = this.#components
    const now = Date.now()
    const refused = mesh
      .refusals()
      .map(({ peer, address, code, count, at }) => ({ peer, address, code, count, agoMs: Math.max(0, now - at) }))
    return {
      schema: 'talkoot.peers/1',
      peers: [
        this.#self(),
        ...mesh.peers().map((peer) => this.#other(peer)),
        ...mesh.heardOf().map((peer) => this.#heardOf(peer)),
      ],
      rules: this.#components.rules.list(),
      refused,
    }
  }

  /** By id, unique end of an id, or name. @throws E_NOT_FOUND */
  find(wanted: string): PeerInfo {
    const { peers } = this.list()
    const found = peers.filter(({ id, name }) => id === wanted || name === wanted || id.endsWith(wanted))
    const [peer] = found
    if (peer === undefined || wanted === '') throw new TalkootError('E_NOT_FOUND', `no peer ${wanted}`)
    if (found.length > 1)
      throw new TalkootError('E_NOT_FOUND', `${found.length} peers are called ${wanted}: give the id`)
    return peer
  }

  /** In force when it returns. @throws E_NOT_FOUND, E_USAGE for this node itself, E_DISK_FULL */
  setRule(target: RuleTarget, request: RuleRequest): PeerRules {
    const { rules, mesh } = this.#components
    const named = this.#named(target)
    if (named.who === mesh.peerId) throw new TalkootError('E_USAGE', 'that is this machine itself')
    rules.set(named, request)
    return this.#rules()
  }

  /** @throws E_NOT_FOUND, E_DISK_FULL */
  clearRule(target: RuleTarget, verdict: PeerVerdict): PeerRules {
    const { rules } = this.#components
    const kept = rules.list().filter(({ kind, who }) => kind === target.kind && who.endsWith(target.who))
    const [only] = kept
    const named = kept.length === 1 && only !== undefined && target.who !== '' ? only : this.#named(target)
    if (!rules.clear(named, verdict)) throw new TalkootError('E_NOT_FOUND', `${target.who} is not ${verdict} here`)
    return this.#rules()
  }

  #rules(): PeerRules {
    return { schema: 'talkoot.peer-rules/1', rules: this.#components.rules.list() }
  }

  /** A peer may be gone, or not be here yet: then its whole id says who it is. */
  #named({ kind, who }: RuleTarget): RuleTarget {
    if (kind === 'operator' || isPeerId(who)) return { kind, who }
    return { kind, who: this.find(who).id }
  }

  #self(): PeerInfo {
    const { mesh, ownAd } = this.#components
    const place = { connected: true, direction: null, address: null, lastSeenMs: 0 }
    return this.#info(mesh.peerId, { ad: ownAd(), role: mesh.status().role, trust: 'self', ...place })
  }

  #other({ id, role, ad, direction, address }: AdmittedPeer): PeerInfo {
    const trust = trustIn(role, this.#components.rules.of(id, ad))
    const lastSeenMs = this.#components.mesh.lastSeenMs(id)
    return this.#info(id, { ad, role, trust, connected: true, direction, address, lastSeenMs })
  }

  #heardOf({ id, role, ad, silentMs }: HeardPeer): PeerInfo {
    const trust = trustIn(role, this.#components.rules.of(id, ad))
    return this.#info(id, { ad, role, trust, connected: false, direction: null, address: null, lastSeenMs: silentMs })
  }

  #info(
    id: string,
    facts: Pick<PeerInfo, 'role' | 'trust' | 'connected' | 'direction' | 'address' | 'lastSeenMs'> & { ad: Ad },
  ): PeerInfo {
    const { worker, evidence, rules } = this.#components
    const standing = evidence.standing(id)
    const { agreed, outvoted } = standing
    const liar =
      evidence.isCaught(id) || (outvoted >= LIAR_OUTVOTED_MIN && outvoted >= LIAR_SHARE * (agreed + outvoted))
    const notes = liar ? [`returned wrong results: outvoted on ${outvoted} of ${agreed + outvoted} units`] : []
    if (facts.ad.paused !== null) notes.push('paused by its owner')
    const rule = rules.of(id, facts.ad)
    if (rule !== null) notes.unshift(noteOf(rule))
    const share = worker.shareOf(id)
    return {
      schema: 'talkoot.peer/1',
      id,
      name: facts.ad.name,
      self: facts.trust === 'self',
      standing,
      credit: creditOf(facts.trust, evidence.creditAt(id, Date.now())),
      share: share && withoutPeer(share),
      servedMs: evidence.servedMs(id),
      liar,
      rule,
      notes,
      ...facts,
    }
  }
}

const withoutPeer = ({ peer: _, ...share }: ShareFacts): Omit<ShareFacts, 'peer'> => share

function noteOf({ verdict, kind, who, reason }: PeerRule): string {
  const whole = kind === 'operator' ? `${verdict} here, with all of operator ${who}` : `${verdict} here`
  return reason === '' ? whole : `${whole}: ${reason}`
}

function isPeerId(text: string): boolean {
  try {
    return peerIdFromString(text).toString() === text
  } catch {
    return false
  }
}
