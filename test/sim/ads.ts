/** Ads for made-up peers. */

import { type Ad, adSchema } from '../../protocol/ad.ts'
import type { PeerTraits } from './scenario.ts'

const GiB = 1024 ** 3

export function adOf({ id, slots, speed, room }: Pick<PeerTraits, 'id' | 'slots' | 'speed' | 'room'>): Ad {
  return adSchema.parse({
    v: 1,
    peer: id,
    mesh: 'mesh',
    seq: 1,
    ttlMs: 60_000,
    name: id,
    version: '0',
    os: 'linux',
    arch: 'x64',
    cpus: slots,
    memory: 8 * GiB,
    disk: 8 * GiB,
    speed,
    freeSlots: slots,
    runtimes: [{ kind: 'js', version: '2', confinement: 'os' }],
    labels: { room },
    reach: 'dialable',
    strangers: true,
    addresses: [],
  })
}
