/** Ads: this node's own, signed and numbered; others', believed only with their own signature. */

import { type Ad, adSchema, type SignedAd } from '../../protocol/ad.ts'
import { canonicalBytes, decodeCanonical } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { isSignedBy, type Signer } from '../../protocol/signatures.ts'
import type { MeshStore } from './store.ts'

/** What the node says of itself; the mesh adds who, where and which number. */
export type AdContent = Omit<Ad, 'v' | 'peer' | 'mesh' | 'seq' | 'ttlMs' | 'reach' | 'addresses'>

type AdPlace = Pick<Ad, 'mesh' | 'reach' | 'addresses'>

export class AdPress {
  readonly #store: MeshStore
  readonly #signer: Signer

  constructor(store: MeshStore, signer: Signer) {
    this.#store = store
    this.#signer = signer
  }

  /**
   * The next ad. Its number is the time or one more than the last, whichever is higher: it grows even when the state folder
   * was restored from an old copy or the clock was set back.
   */
  async print(content: AdContent, place: AdPlace): Promise<SignedAd> {
    const seq = Math.max(this.#store.adSeq() + 1, Date.now())
    this.#store.keepAdSeq(seq)
    const ad: Ad = { ...content, ...place, v: 1, peer: this.#signer.peer, seq, ttlMs: LIMITS.AD_TTL_MS }
    const bytes = canonicalBytes(adSchema.parse(ad))
    if (bytes.length > LIMITS.AD_MAX_BYTES) {
      throw new TalkootError(
        'E_AD_INVALID',
        `this node's ad is ${bytes.length} bytes, over ${LIMITS.AD_MAX_BYTES}: shorten its labels`,
      )
    }
    return { bytes, signature: await this.#signer.sign('ad', bytes) }
  }
}

/** The ads of others: checks each and remembers the highest number of each peer, `ADS_KNOWN_MAX` peers at most. */
export class AdReader {
  readonly #mesh: string
  readonly #lastSeq = new Map<string, number>()

  constructor(mesh: string) {
    this.#mesh = mesh
  }

  /** An ad that is wholly the peer's own word; it may be older than one already seen. @throws E_AD_INVALID */
  async read(peer: string, signed: SignedAd): Promise<Ad> {
    const ad = await this.readAny(signed)
    if (ad.peer !== peer) throw invalid('it is of another peer')
    return ad
  }

  /** The same of whichever peer it says it is of. @throws E_AD_INVALID */
  async readAny(signed: SignedAd): Promise<Ad> {
    if (signed.bytes.length > LIMITS.AD_MAX_BYTES) throw invalid('it is too big')
    const parsed = adSchema.safeParse(decode(signed.bytes))
    if (!parsed.success) throw invalid(`${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.message}`)
    const ad = parsed.data
    if (!(await isSignedBy(ad.peer, 'ad', signed.bytes, signed.signature))) throw invalid('its signature is wrong')
    if (ad.mesh !== this.#mesh) throw invalid('it is of another mesh')
    return ad
  }

  /** Whether the number is lower than one already seen. */
  isOld({ peer, seq }: Pick<Ad, 'peer' | 'seq'>): boolean {
    return seq < (this.#lastSeq.get(peer) ?? 0)
  }

  /** Whether the number is none lower than one already seen; remembers it. The same ad again is current. */
  isCurrent({ peer, seq }: Ad): boolean {
    const last = this.#lastSeq.get(peer) ?? 0
    this.#lastSeq.delete(peer)
    this.#lastSeq.set(peer, Math.max(seq, last))
    const [oldest] = this.#lastSeq.keys()
    if (this.#lastSeq.size > LIMITS.ADS_KNOWN_MAX && oldest !== undefined) this.#lastSeq.delete(oldest)
    return seq >= last
  }
}

function decode(bytes: Uint8Array): unknown {
  try {
    return decodeCanonical(bytes)
  } catch {
    throw invalid('it is not canonical CBOR')
  }
}

const invalid = (why: string) => new TalkootError('E_AD_INVALID', `the ad is refused: ${why}`)
