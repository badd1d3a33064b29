/** The only way there is to do something later: as a promise job. */
export function soon(job: () => void): number {
  void Promise.resolve().then(job)
  return 0
}
