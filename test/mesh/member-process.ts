/** A member in a process of its own: joins with the token in its argument, says `ready`, lives until it is killed. */

import { createMesh } from '../../node/mesh/create.ts'
import { AD } from './ad.ts'
import { memoryMeshStore } from './memory-store.ts'

const [token = '', listen = '/ip4/127.0.0.1/tcp/0', mdns = 'no'] = process.argv.slice(2)
const mesh = await createMesh(
  { store: memoryMeshStore() },
  { describe: () => AD, listen: [listen], mdns: mdns === 'mdns' },
)
mesh.serve('/test/echo/1', async (channel) => {
  for await (const frame of channel) await channel.send(frame)
})
await mesh.start()
await mesh.join(token, AbortSignal.timeout(60_000))
mesh.watch((event) => console.log(event.type), new AbortController().signal)
console.log(`ready ${mesh.peerId}`)
setInterval(() => undefined, 60_000)
