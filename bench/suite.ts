/** The whole suite, in the order it is run. */

import type { Benchmark } from './benchmark.ts'
import { containers } from './suite/containers.ts'
import { freshJob } from './suite/fresh-job.ts'
import { hugeSweep } from './suite/huge-sweep.ts'
import { lostWorker } from './suite/lost-worker.ts'
import { nodeStart } from './suite/node-start.ts'
import { noop, noopQuorum, noopRead } from './suite/noop.ts'
import { programs } from './suite/programs.ts'
import { python } from './suite/python.ts'
import { scheduler } from './suite/scheduler.ts'
import { units10ms, units50ms } from './suite/short-units.ts'
import { trees } from './suite/trees.ts'

export const SUITE: readonly Benchmark[] = [
  noop,
  noopRead,
  noopQuorum,
  hugeSweep,
  freshJob,
  units10ms,
  units50ms,
  programs,
  python,
  containers,
  lostWorker,
  nodeStart,
  scheduler,
  trees,
]
