/** What a unit finds around it, however it is confined. */

import type { Brought } from './job-files.ts'

/** Where a unit is started. */
export const UNIT_FOLDER = '/unit'
/** Its files are in its folder by links into this one: a place of its own for each would take as long as a short unit. */
export const INPUTS_FOLDER = '/inputs'
/** Where a unit believes it is, and who it is. */
export const UNIT_HOST = 'unit'
export const UNIT_USER = 'unit'
export const TMP_FOLDER = '/tmp'
/** Where a program saves its state, and finds it again. */
export const CHECKPOINT_FILE = `${TMP_FOLDER}/talkoot-checkpoint`
/** The most that `oom_score_adj` can be (proc(5)). */
export const FIRST_TO_END = 1_000

/** What programs of this machine need to start. On most systems all but `/usr` are links into it. */
export const SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32']

/** Where its programs are looked for, first to last: in what the job brings, then in what is installed. */
export const searchPath = (brought: readonly Brought[], installed: readonly string[]): string[] => [
  ...brought.map(({ at }) => `${at}/bin`),
  ...installed,
]

/** What one unit may use. */
export type Room = { cpus: number; memoryMiB: number }

/**
 * Libraries that see all cores of the machine would start a thread for each. OpenMP's is also what OpenBLAS, MKL, `nproc`
 * and with it `make -j$(nproc)` go by.
 */
const THREAD_VARIABLES = ['OMP_NUM_THREADS', 'GOMAXPROCS', 'RAYON_NUM_THREADS', 'NUMBA_NUM_THREADS']

/** All but where its programs are looked for. */
export const variables = ({ cpus }: Room): Record<string, string> => ({
  HOME: UNIT_FOLDER,
  TMPDIR: TMP_FOLDER,
  TALKOOT_CHECKPOINT: CHECKPOINT_FILE,
  LANG: 'C.UTF-8',
  TZ: 'UTC',
  TALKOOT_CPUS: String(cpus),
  ...Object.fromEntries(THREAD_VARIABLES.map((name) => [name, String(cpus)])),
})
