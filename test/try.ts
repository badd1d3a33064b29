import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { createContainerRuntime } from '../node/runtimes/container/runtime.ts'
import { encodeContainer } from '../protocol/command/container.ts'

const digest = 'a'.repeat(52)
rmSync('/tmp/ctr/tree', { recursive: true, force: true })
mkdirSync('/tmp/ctr/tree')
cpSync('/tmp/ctr/busy.tar', '/tmp/ctr/tree/busy.tar')
const rt = createContainerRuntime({ scratchDir: '/tmp/ctr/scratch' })
let t = performance.now()
const lap = (s: string) => {
  console.log(s, Math.round(performance.now() - t))
  t = performance.now()
}
try {
  console.log(await rt.probe(AbortSignal.timeout(30000)))
  lap('probe')
  const image = { digest, bytes: 1 }
  const trees = new Map([
    [
      digest,
      {
        folder: '/tmp/ctr/tree',
        layout: {
          tree: { v: 1, files: [{ path: 'busy.tar', bytes: 1, executable: false, chunks: new Uint8Array() }] },
        },
      },
    ],
  ]) as never
  const source = encodeContainer({
    v: 1,
    image,
    program: {
      v: 1,
      argv: ['sh', '-c', process.argv[2] ?? 'echo {x}; id; env; touch f /tmp/g && echo ok'],
      env: {},
      stdin: null,
      inputs: null,
    },
  })
  const sb = rt.open({
    source,
    trees,
    seed: 1,
    cpus: 1,
    memoryMiB: 64,
    timeoutMs: 10000,
    onReport: (r) => console.log(r),
  })
  await sb.warm(AbortSignal.timeout(30000))
  lap('warm')
  for await (const a of sb.run(
    [0, 1, 2].map((x) => ({ unit: x, params: JSON.stringify({ x }) })),
    AbortSignal.timeout(60000),
  )) {
    console.log(a)
    lap('unit')
  }
  await sb.close()
} finally {
  await rt.stop()
}
