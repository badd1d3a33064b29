/**
 * Async iterables as HTTP bodies. A body is pulled, so a reader that is slow slows the source; one that goes away
 * aborts it. A source that fails is told to `onError`, and its body never ends by itself.
 */

import { LIMITS } from '../../protocol/limits.ts'

type Source<T> = (signal: AbortSignal) => AsyncIterable<T>
type Options = {
  /** Ends the stream in good order. */
  stopping: AbortSignal
  onError(error: unknown): void
}

/** NDJSON: what is at hand goes out together, up to `API_CHUNK_CHARS` at a time; nothing at hand waits for more. */
export function lineStream<T>(
  source: Source<T>,
  options: Options,
  write: (item: T) => string = lineOf,
): ReadableStream<Uint8Array> {
  const reading = new Reading(source, options)
  const encoder = new TextEncoder()
  return new ReadableStream({
    async pull(controller) {
      const turn = new Promise<undefined>((resolve) => setImmediate(resolve, undefined))
      let text = ''
      let next: IteratorResult<T> | undefined = await reading.next()
      while (next !== undefined && next.done !== true) {
        reading.take()
        text += write(next.value)
        next = text.length < LIMITS.API_CHUNK_CHARS ? await Promise.race([reading.next(), turn]) : undefined
      }
      if (text !== '') controller.enqueue(encoder.encode(text))
      if (next?.done === true) controller.close()
    },
    cancel: () => reading.cancel(),
  })
}

export const lineOf = (item: unknown): string => `${JSON.stringify(item)}\n`

/** Server-sent events, one a value; a comment now and then shows that the stream lives. */
export function eventStream<T>(source: Source<T>, options: Options): ReadableStream<Uint8Array> {
  const reading = new Reading(source, options)
  const encoder = new TextEncoder()
  let keepAlive: NodeJS.Timeout | undefined
  return new ReadableStream({
    start(controller) {
      keepAlive = setInterval(() => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(': alive\n\n'))
      }, LIMITS.API_KEEPALIVE_MS)
    },
    async pull(controller) {
      const next = await reading.next()
      reading.take()
      if (next.done !== true) return controller.enqueue(encoder.encode(`data: ${JSON.stringify(next.value)}\n\n`))
      clearInterval(keepAlive)
      controller.close()
    },
    cancel() {
      clearInterval(keepAlive)
      reading.cancel()
    },
  })
}

/** One reading of a source. `next` gives the same item until it is taken. */
class Reading<T> {
  readonly #iterator: AsyncIterator<T>
  readonly #gone = new AbortController()
  readonly #signal: AbortSignal
  readonly #onError: (error: unknown) => void
  #pending: Promise<IteratorResult<T>> | null = null
  /** Gives the end to whoever waits, whether the source heeds its signal or not. */
  #end = (): void => undefined

  constructor(source: Source<T>, { stopping, onError }: Options) {
    this.#signal = AbortSignal.any([stopping, this.#gone.signal])
    this.#iterator = source(this.#signal)[Symbol.asyncIterator]()
    this.#onError = onError
    this.#signal.addEventListener('abort', () => this.#end(), { once: true })
  }

  next(): Promise<IteratorResult<T>> {
    this.#pending ??= new Promise((resolve) => {
      this.#end = () => resolve({ done: true, value: undefined })
      if (this.#signal.aborted) this.#end()
      // After a failure comes nothing, no end either: the reader must not take what it has for all there is.
      else this.#iterator.next().then(resolve, this.#onError)
    })
    return this.#pending
  }

  take(): void {
    this.#pending = null
  }

  cancel(): void {
    this.#gone.abort()
    this.#iterator.return?.()?.catch(() => undefined)
  }
}
