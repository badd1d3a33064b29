import type { AdContent } from '../../node/mesh/ads.ts'

export const AD: AdContent = {
  name: 'test',
  version: '0.1.0',
  os: 'linux',
  arch: 'x64',
  cpus: 2,
  memory: 2 ** 30,
  disk: 2 ** 30,
  speed: 1,
  freeSlots: 2,
  runtimes: [{ kind: 'js', version: '1', confinement: 'os' }],
  labels: {},
  strangers: false,
  paused: null,
}
