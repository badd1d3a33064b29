/** A mesh in memory for the exchange of trees: whoever is on stage is admitted, channels are as between real peers. */

import type { Handler } from '../../node/mesh/doors.ts'
import { memoryChannels } from '../../node/mesh/memory-channel.ts'
import type { AdmittedPeer, Channel } from '../../node/mesh/mesh.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { AD } from './ad.ts'

export class Stage {
  readonly #handlers = new Map<string, Handler>()
  /** Who was told to meet whom. */
  readonly met: [string, string][] = []

  /** What an exchange needs of its mesh. */
  mesh(id: string) {
    return {
      peerId: id,
      serve: (_: string, handler: Handler) => this.serve(id, handler),
      open: (peer: string) => this.open(id, peer),
      meet: ({ id: other }: { id: string }) => this.met.push([id, other]),
    }
  }

  serve(id: string, handler: Handler): void {
    this.#handlers.set(id, handler)
  }

  /** As `Doors` does it: a handler that throws ends its channel with its code. */
  async open(from: string, to: string): Promise<Channel> {
    const handler = this.#handlers.get(to)
    if (handler === undefined) throw new TalkootError('E_UNREACHABLE', `${to} is not on stage`)
    const [near, far] = memoryChannels('')
    Object.defineProperty(near, 'peer', { value: to })
    Object.defineProperty(far, 'peer', { value: from })
    handler(far, admitted(from)).then(
      () => far.close(),
      (thrown: unknown) => {
        const { code, message } = TalkootError.from(thrown)
        far.abort(code, message)
      },
    )
    return near
  }
}

function admitted(id: string): AdmittedPeer {
  const ad = { ...AD, v: 1 as const, peer: id, mesh: '', seq: 1, ttlMs: 60_000, addresses: [`/dns4/${id}/tcp/1`] }
  return { id, role: 'member', ad: { ...ad, reach: 'dialable' }, direction: 'inbound', address: '' }
}
