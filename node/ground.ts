/** What all parts of a node stand on: what it keeps on its disk, what runs units, time and chance. */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'

import type { StatePaths } from '../protocol/home.ts'
import type { Cleanup } from './cleanup.ts'
import type { Settings } from './config.ts'
import { openRuntimes } from './runtimes/open.ts'
import type { Runtime, RuntimeInit } from './runtimes/runtime.ts'
import type { Runtimes } from './runtimes/runtimes.ts'
import { BlobStore } from './store/blobs.ts'
import { CheckpointFile } from './store/checkpoint-file.ts'
import { EvidenceStore } from './store/evidence.ts'
import { JobRemoval } from './store/job-removal.ts'
import { JobStore } from './store/job-store.ts'
import { openLedger } from './store/ledger.ts'
import { SqliteMeshStore } from './store/mesh-store.ts'
import { SqlitePauseStore } from './store/pause-store.ts'
import { PeerNumbers } from './store/peer-numbers.ts'
import { PeerRuleStore } from './store/peer-rules.ts'
import { ReceiptStore } from './store/receipt-store.ts'
import { takeStateFolder } from './store/state-folder.ts'
import { TreeStore } from './store/tree-store.ts'
import { TreeUploads } from './store/tree-uploads.ts'

export type GroundInit = {
  paths: StatePaths
  settings: Settings
  log: Logger
  /** What runs js units, if not the runtime of this machine. */
  openRuntime?(init: RuntimeInit): Runtime
}

export type Ground = ReturnType<typeof openStores> & {
  runtimes: Runtimes
  /** Milliseconds, monotonic. */
  now(): number
  /** This machine's wall clock, for ages only. */
  wallClock(): number
  random(): number
  /** Told of failures of single peers and streams: expected in a mesh, of interest only when looked for. */
  onError(error: unknown): void
}

/** @throws E_ALREADY_RUNNING, E_STATE_UNSAFE, E_LEDGER_* */
export function layGround(init: GroundInit, cleanup: Cleanup): Ground {
  const stores = openStores(init, cleanup)
  const runtimes = startRuntimes(init, stores.trees.disk, cleanup)
  return {
    ...stores,
    runtimes,
    now: () => performance.now(),
    wallClock: Date.now,
    random: Math.random,
    onError: (error) => init.log.debug({ err: error }, 'a passing failure'),
  }
}

function openStores({ paths, settings }: GroundInit, cleanup: Cleanup) {
  const folder = takeStateFolder(paths.state)
  cleanup.add(() => folder.release())
  const ledger = openLedger(paths.ledger)
  cleanup.add(() => ledger.close())
  const peers = new PeerNumbers(ledger)
  const trees = new TreeStore({ folder: paths.trees, budgetBytes: settings.diskMiB * 2 ** 20 })
  const uploads = new TreeUploads({ trees })
  cleanup.add(() => uploads.stop())
  return {
    ledger,
    evidence: new EvidenceStore({ ledger, peers }),
    jobStore: new JobStore({ ledger, peers }),
    removal: new JobRemoval({ ledger }),
    receiptStore: new ReceiptStore({ ledger, peers }),
    rules: new PeerRuleStore({ ledger, wallClock: Date.now }),
    meshStore: new SqliteMeshStore(ledger),
    pauseStore: new SqlitePauseStore(ledger),
    blobs: new BlobStore(paths.blobs),
    checkpointFile: new CheckpointFile(paths.checkpoints),
    trees,
    uploads,
    // What own jobs gave is never given up for room: before there is too little of that on the disk, no more is fetched.
    unitTrees: new TreeStore({ folder: paths.unitFiles, budgetBytes: Number.POSITIVE_INFINITY }),
  }
}

function startRuntimes({ paths, openRuntime }: GroundInit, disk: TreeStore['disk'], cleanup: Cleanup): Runtimes {
  const scratchDir = join(paths.state, 'sandbox')
  mkdirSync(scratchDir, { recursive: true, mode: 0o700 })
  const runtimes = openRuntimes({ scratchDir, disk }, openRuntime === undefined ? {} : { js: openRuntime })
  cleanup.add(() => runtimes.stop())
  return runtimes
}
