/** The two sides of the handshake: who is let in, as what, and who is refused with which code. */

import { equals } from 'uint8arrays/equals'
import type { Ad, SignedAd } from '../../protocol/ad.ts'
import { TalkootError } from '../../protocol/errors.ts'
import type { Chain, Token } from '../../protocol/membership/index.ts'
import { verifyChain } from '../../protocol/membership/index.ts'
import type { AdReader } from './ads.ts'
import {
  credentialSchema,
  type HelloTalk,
  helloSchema,
  meshTag,
  proofSchema,
  readySchema,
  welcomeSchema,
} from './hello.ts'
import type { Membership, Standing } from './membership.ts'
import type { Refusals } from './refusals.ts'
import type { TokenDesk } from './tokens.ts'

/** An admitted peer as the handshake leaves it. */
export type Admission = { peer: string; standing: Standing; ad: Ad; signed: SignedAd; revocationsDigest: string }

export type AdmissionComponents = {
  self: string
  membership: Membership
  desk: TokenDesk
  refusals: Refusals
  /** This node's ad of now. */
  ownAd(): Promise<SignedAd>
  ads: AdReader
}

/** A connection that did its work, a certificate handed over, and must now end. */
export class Enrolled extends Error {}

/** Dials in as a member. @throws TalkootError for a refusal of ours, RefusedByPeer for one of theirs */
export async function greet(talk: HelloTalk, peer: string, components: AdmissionComponents): Promise<Admission> {
  const { self, membership } = components
  const mesh = membership.facts.id
  await talk.say({ t: 'hello', v: 1, mesh: meshTag(mesh, self, peer) })
  const { chain } = await talk.hear(proofSchema)
  const standing = await membership.judge(peer, chain)
  const digest = membership.revocationsDigest()
  await talk.say({ t: 'member', chain: membership.facts.chain, ad: await components.ownAd(), revoked: digest })
  const welcome = await talk.hear(welcomeSchema)
  if (welcome.t !== 'welcome') throw new TalkootError('E_HANDSHAKE', 'the peer answered a member as a joiner')
  const ad = await acceptAd(components.ads, peer, welcome.ad)
  await talk.say({ t: 'ready' })
  return { peer, standing, ad, signed: welcome.ad, revocationsDigest: welcome.revoked }
}

/** Dials in with a token and comes back with a certificate. The issuer must first prove it is of the token's mesh. */
export async function enrol(talk: HelloTalk, self: string, token: Token): Promise<Chain> {
  const { mesh, issuer, grant } = token
  await talk.say({ t: 'hello', v: 1, mesh: meshTag(mesh, self, issuer) })
  const { chain } = await talk.hear(proofSchema)
  if (grant === null) throw new TalkootError('E_HANDSHAKE', 'an invitation has nothing to redeem')
  const [leaf] = await verifyChain({ mesh, peer: issuer, chain })
  if (leaf.role !== 'admin') throw new TalkootError('E_MESH_MISMATCH', 'the machine that answered may not admit anyone')
  await talk.say({ t: 'join', token: grant.id, secret: grant.secret })
  const answer = await talk.hear(welcomeSchema)
  if (answer.t !== 'enrolled') throw new TalkootError('E_HANDSHAKE', 'the peer answered a joiner as a member')
  await verifyChain({ mesh, peer: self, chain: answer.chain })
  return answer.chain
}

/** Answers a dialler. `host` is what guesses at tokens are counted against. */
export async function receive(
  talk: HelloTalk,
  peer: string,
  host: string,
  components: AdmissionComponents,
): Promise<Admission> {
  const { self, membership, refusals } = components
  const hello = await talk.hear(helloSchema)
  if (!equals(hello.mesh, meshTag(membership.facts.id, peer, self))) {
    throw new TalkootError('E_MESH_MISMATCH', 'this node is not of the mesh asked for')
  }
  await talk.say({ t: 'proof', chain: membership.facts.chain })
  const credential = await talk.hear(credentialSchema)
  if (credential.t === 'join') {
    if (!refusals.mayGuess(host)) throw new TalkootError('E_TOO_MANY_TRIES', 'too many wrong tokens from this host')
    const chain = await redeem(peer, host, credential, components)
    await talk.say({ t: 'enrolled', chain })
    await talk.hungUp()
    throw new Enrolled()
  }
  const standing = await membership.judge(peer, credential.chain)
  const ad = await acceptAd(components.ads, peer, credential.ad)
  await talk.say({ t: 'welcome', ad: await components.ownAd(), revoked: membership.revocationsDigest() })
  await talk.hear(readySchema)
  return { peer, standing, ad, signed: credential.ad, revocationsDigest: credential.revoked }
}

/** @throws E_AD_INVALID, for an ad older than one already seen too */
async function acceptAd(ads: AdReader, peer: string, signed: SignedAd): Promise<Ad> {
  const ad = await ads.read(peer, signed)
  if (!ads.isCurrent(ad)) throw new TalkootError('E_AD_INVALID', 'the ad is refused: a newer one is known')
  return ad
}

async function redeem(
  peer: string,
  host: string,
  { token, secret }: { token: string; secret: Uint8Array },
  { desk, refusals }: AdmissionComponents,
): Promise<Chain> {
  try {
    return await desk.redeem(peer, token, secret)
  } catch (thrown) {
    const error = TalkootError.from(thrown)
    if (error.code === 'E_TOKEN_WRONG') refusals.addGuess(host)
    throw error
  }
}
