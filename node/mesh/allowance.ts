/** How much of something a peer may make this node do: a steady rate, and a burst before it. */

type AllowanceInit = {
  burst: number
  perSecond: number
  /** Monotonic, milliseconds. */
  now?: () => number
}

/** A bucket that fills at a steady rate. */
export class Allowance {
  readonly #burst: number
  readonly #perSecond: number
  readonly #now: () => number
  #left: number
  #at: number

  constructor({ burst, perSecond, now = () => performance.now() }: AllowanceInit) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#now = now
    this.#left = burst
    this.#at = now()
  }

  get isFull(): boolean {
    this.#fill()
    return this.#left === this.#burst
  }

  /** False when so much is not left: then nothing is taken. */
  spend(cost = 1): boolean {
    this.#fill()
    if (cost > this.#left) return false
    this.#left -= cost
    return true
  }

  #fill(): void {
    const now = this.#now()
    this.#left = Math.min(this.#burst, this.#left + ((now - this.#at) / 1_000) * this.#perSecond)
    this.#at = now
  }
}

/** One for each peer, whatever its connections: who comes back has what it left with. */
export class PeerAllowances {
  readonly #init: AllowanceInit
  /** The one longest not used first. */
  readonly #byPeer = new Map<string, Allowance>()

  constructor(init: AllowanceInit) {
    this.#init = init
  }

  /** Those that are not full, and a few more. */
  get size(): number {
    return this.#byPeer.size
  }

  spend(peer: string, cost = 1): boolean {
    const allowance = this.#byPeer.get(peer) ?? new Allowance(this.#init)
    this.#byPeer.delete(peer)
    this.#forgetFull()
    this.#byPeer.set(peer, allowance)
    return allowance.spend(cost)
  }

  /** A full one is as good as none. */
  #forgetFull(): void {
    for (const [peer, allowance] of this.#byPeer) {
      if (!allowance.isFull) return
      this.#byPeer.delete(peer)
    }
  }
}
