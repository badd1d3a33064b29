/** What a stranger shares with others that one person may run: of those that share any of it only one is heard on a unit. */

import { BlockList, isIPv4, isIPv6 } from 'node:net'
import type { Ad } from '../../protocol/ad.ts'
import { operatorOf } from '../../protocol/peer-rules.ts'

/** Bits of an address that one owner commonly has the rest of. */
const SUBNET_BITS = { ipv4: 24, ipv6: 48 }

/** Networks in which neighbours are many people's machines, or in which an address tells nothing. */
const LOCAL = new BlockList()
for (const [network, bits] of [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  LOCAL.addSubnet(network, bits)
}
LOCAL.addAddress('::1', 'ipv6')
LOCAL.addSubnet('fc00::', 7, 'ipv6')
LOCAL.addSubnet('fe80::', 10, 'ipv6')

/** `address`: the multiaddr it was reached at or came from, as this machine sees it. The operator is its own word. */
export function independenceOf({ ad, address }: { ad: Pick<Ad, 'labels'>; address: string }): string[] {
  const operator = operatorOf(ad)
  const subnet = subnetOf(address)
  return [...(operator === null ? [] : [`operator ${operator}`]), ...(subnet === null ? [] : [`subnet ${subnet}`])]
}

/** Null: behind a relay, in a local network, or not known by number. */
function subnetOf(address: string): string | null {
  const [, protocol, host = ''] = address.split('/')
  if (address.includes('/p2p-circuit')) return null
  if (protocol === 'ip4' && isIPv4(host)) {
    if (LOCAL.check(host)) return null
    return host
      .split('.')
      .slice(0, SUBNET_BITS.ipv4 / 8)
      .join('.')
  }
  if (protocol !== 'ip6' || !isIPv6(host) || LOCAL.check(host, 'ipv6')) return null
  return groupsOf(host)
    .slice(0, SUBNET_BITS.ipv6 / 16)
    .join(':')
}

/** The eight groups of an IPv6 address, without leading zeros. */
function groupsOf(host: string): string[] {
  const [head = '', tail] = host.toLowerCase().split('::')
  const [before, after] = [head, tail ?? ''].map((part) => part.split(':').filter(Boolean))
  const missing = 8 - (before?.length ?? 0) - (after?.length ?? 0)
  const zeros = tail === undefined ? [] : Array.from({ length: missing }, () => '0')
  return [...(before ?? []), ...zeros, ...(after ?? [])].map((group) => group.replace(/^0+(?=.)/, ''))
}
