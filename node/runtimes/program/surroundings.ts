/** What a unit finds around it, however it is confined. */

/** Where a unit is started. */
export const UNIT_FOLDER = '/unit'
/** Where a unit believes it is, and who it is. */
export const UNIT_HOST = 'unit'
export const UNIT_USER = 'unit'
/** The most that `oom_score_adj` can be (proc(5)). */
export const FIRST_TO_END = 1_000

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
  TMPDIR: '/tmp',
  LANG: 'C.UTF-8',
  TZ: 'UTC',
  TALKOOT_CPUS: String(cpus),
  ...Object.fromEntries(THREAD_VARIABLES.map((name) => [name, String(cpus)])),
})
