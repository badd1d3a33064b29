/** Jobs that run failed units of others again, read together with those. */

import { API, jobInfoSchema, resultRowSchema } from '../protocol/api.ts'
import { type Client, readAs } from './client.ts'
import { type Result, resultOf } from './result.ts'

type Asked = { order?: 'completion' | 'input'; failed?: boolean; signal?: AbortSignal | undefined }

/** The results a job has now. */
export async function* resultsNow<Params, Value>(
  client: Client,
  id: string,
  { order = 'completion', failed = false, signal }: Asked,
): AsyncGenerator<Result<Params, Value>> {
  const path = API.jobResults(id)
  const query = { order, failed: String(failed) }
  for await (const line of client.lines(path, { query, signal })) {
    if (line !== '') yield resultOf<Params, Value>(readAs(resultRowSchema, line, path))
  }
}

/** The job whose failed units this one runs again, that whose that one does, and so on. */
export async function retriedBy(client: Client, id: string, signal: AbortSignal | undefined): Promise<string[]> {
  const before = async (job: string): Promise<string | null> =>
    (await client.request(API.job(job), jobInfoSchema, { signal })).retryOf
  const ids: string[] = []
  for (let job = await before(id); job !== null; job = await before(job)) ids.push(job)
  return ids
}

/** Of each unit the result of the first source that has one; each source in the order of its units, as what comes out. */
export async function* firstOfEach<T extends { unit: number }>(sources: AsyncGenerator<T>[]): AsyncGenerator<T> {
  try {
    const heads = await Promise.all(sources.map((source) => source.next()))
    for (;;) {
      const units = heads.flatMap((head) => (head.done === true ? [] : [head.value.unit]))
      if (units.length === 0) return
      const unit = Math.min(...units)
      const having = heads.flatMap((head, i) => (head.done !== true && head.value.unit === unit ? [i] : []))
      const first = heads[having[0] ?? 0]
      if (first?.done === false) yield first.value
      for (const i of having) heads[i] = (await sources[i]?.next()) ?? { done: true, value: undefined }
    }
  } finally {
    await Promise.all(sources.map((source) => source.return(undefined)))
  }
}
