/** Files of the units of one job: fetched while they wait, in their order and for so many at once, and held until they have ended. */

import { TalkootError } from '../../protocol/errors.ts'
import type { UnitInput } from '../runtimes/runtime.ts'
import type { HeldFiles, PointFiles } from './point-files.ts'

/** `files`: null where there are none; undefined while they come. */
type Coming = { abort: AbortController; files: HeldFiles | null | undefined }

type Components = {
  files: PointFiles
  /** The files of one more unit are here. */
  onReady(): void
  /** They do not come, for now or for good: the unit is not wanted here any more. */
  onFailed(unit: number, error: TalkootError): void
}

/** There is room again when another unit has ended. */
const WAITS_FOR_ROOM: ReadonlySet<string> = new Set(['E_DISK_TAKEN', 'E_DISK_FULL'])

export class FilesAhead {
  readonly #components: Components
  readonly #units: number
  readonly #coming = new Map<number, Coming>()
  #closed = false

  /** `units`: for how many that wait. */
  constructor(components: Components, { units }: { units: number }) {
    this.#components = components
    this.#units = units
  }

  /** Of a unit that waits here. */
  isReady(unit: number): boolean {
    return this.#coming.get(unit)?.files !== undefined
  }

  /** Of one that is ready. */
  of(unit: number): HeldFiles | null {
    return this.#coming.get(unit)?.files ?? null
  }

  /** What waits, first to last, and what runs: what is neither, or far behind, is let go of. */
  update(waiting: readonly UnitInput[], running: ReadonlyMap<number, unknown>): void {
    if (this.#closed) return
    const next = waiting.slice(0, this.#units)
    const wanted = new Set(next.map(({ unit }) => unit))
    for (const unit of this.#coming.keys()) if (!wanted.has(unit) && !running.has(unit)) this.#drop(unit)
    for (const input of next) if (!this.#coming.has(input.unit)) void this.#fetch(input)
  }

  /** How many of those that wait could run now. */
  ready(waiting: readonly UnitInput[]): number {
    return waiting.slice(0, this.#units).filter(({ unit }) => this.isReady(unit)).length
  }

  close(): void {
    this.#closed = true
    for (const unit of this.#coming.keys()) this.#drop(unit)
    this.#components.files.release()
  }

  async #fetch(input: UnitInput): Promise<void> {
    const { files, onReady, onFailed } = this.#components
    const coming: Coming = { abort: new AbortController(), files: undefined }
    this.#coming.set(input.unit, coming)
    try {
      const held = await files.hold(input, coming.abort.signal)
      if (this.#coming.get(input.unit) !== coming) return held?.release()
      coming.files = held
      onReady()
    } catch (thrown) {
      if (this.#coming.get(input.unit) !== coming) return
      this.#coming.delete(input.unit)
      const error = TalkootError.from(thrown)
      if (!WAITS_FOR_ROOM.has(error.code) || this.#coming.size === 0) onFailed(input.unit, error)
    }
  }

  #drop(unit: number): void {
    const coming = this.#coming.get(unit)
    this.#coming.delete(unit)
    coming?.abort.abort(new TalkootError('E_UNREACHABLE', 'the unit is not wanted here any more'))
    coming?.files?.release()
  }
}
