/** One input to many: the time and what the submitter uploads, each machine behind a link of its own. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../../test/e2e/node-process.ts'
import type { Echoes } from '../../test/mesh/tree-process.ts'
import { TreeProcess } from '../../test/mesh/tree-processes.ts'
import type { Benchmark, Sample } from '../benchmark.ts'
import { buildMachines } from '../slow-links.ts'

const PEERS = 4
const MEGABITS = 100
const CHUNKS = 300

export const trees: Benchmark = {
  name: 'trees',
  about: `${CHUNKS} MiB to one peer, then to ${PEERS}, each machine behind a link of ${MEGABITS} Mbit/s`,
  figures: {
    'one peer': { unit: 'ms', better: 'less', per: null, tolerance: 0.5 },
    'four peers': { unit: 'ms', better: 'less', per: null, tolerance: 0.5 },
    'four by one': { unit: 'times', better: 'less', per: null, must: 2, tolerance: 0.5 },
    'uploaded by the submitter': { unit: 'copies', better: 'less', per: null, must: 2, tolerance: 0.5 },
    'a frame to the submitter and back meanwhile, 99%': { unit: 'ms', better: 'less', per: null, tolerance: 1 },
    'peak memory': { unit: 'MiB', better: 'less', per: null, must: 250, tolerance: 0.25 },
  },
  rounds: { full: 1, quick: 1 },
  open: async ({ quick }) => {
    const chunks = quick ? CHUNKS / 10 : CHUNKS
    return {
      round: async (): Promise<Sample> => {
        const one = await spread(chunks, 1)
        const four = await spread(chunks, PEERS)
        return {
          'one peer': one.ms,
          'four peers': four.ms,
          'four by one': four.ms / one.ms,
          'uploaded by the submitter': four.copies,
          'a frame to the submitter and back meanwhile, 99%': four.echoMs,
          'peak memory': Math.max(one.peakMiB, four.peakMiB),
        }
      },
      [Symbol.asyncDispose]: async () => undefined,
    }
  },
}

type Spread = { ms: number; copies: number; peakMiB: number; echoMs: number }

async function spread(chunks: number, peers: number): Promise<Spread> {
  using network = buildMachines(peers + 1, MEGABITS)
  const folder = mkdtempSync(join(tmpdir(), 'talkoot-bench-'))
  const [first, ...rest] = network.machines
  if (first === undefined) throw new RangeError('no machines')
  const source = new TreeProcess(join(folder, 'source'), first)
  const others: TreeProcess[] = []
  try {
    const { token } = await source.obey<{ token: string }>({ do: 'token' })
    for (const [at, machine] of rest.entries()) others.push(new TreeProcess(join(folder, `${at}`), machine, token))
    const from = [await source.peerId]
    const all = [source, ...others]
    const { digest, bytes } = await source.obey<{ digest: string; bytes: number }>({ do: 'plant', chunks, seed: 1 })
    await until('all see each other', 60_000, async () =>
      (await Promise.all(all.map((node) => node.facts()))).every((facts) => facts.peers === peers),
    )
    const began = performance.now()
    const fetched = others.map((node) => node.obey({ do: 'fetch', digest, from, bytes }))
    const echoes = others.map((node) => node.obey<Echoes>({ do: 'echo', peer: from[0] ?? '' }))
    await Promise.all(fetched)
    const ms = performance.now() - began
    const echoMs = Math.max(...(await Promise.all(echoes)).map(({ p99 }) => p99))
    const facts = await Promise.all(all.map((node) => node.facts()))
    const peakMiB = Math.max(...facts.map(({ peakMiB }) => peakMiB))
    return { ms, copies: (facts[0]?.sent ?? 0) / bytes, peakMiB, echoMs }
  } finally {
    await Promise.all([source, ...others].map((node) => node.end()))
    rmSync(folder, { recursive: true, force: true })
  }
}
