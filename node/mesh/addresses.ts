import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'

/** The address with the peer id at its end, so that whoever answers there must prove it is that peer; none for rubbish. */
export function addressOfPeer(text: string, peer: string): Multiaddr | undefined {
  try {
    const address = multiaddr(text)
    const components = address.getComponents()
    const named = components.findLast(({ name }) => name === 'p2p')
    if (named === undefined) return address.encapsulate(`/p2p/${peer}`)
    return named.value === peer ? address : undefined
  } catch {
    return undefined
  }
}
