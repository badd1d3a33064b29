/**
 * Files of units that no accepted unit needs: those of an attempt stay until its unit is decided and that is written, or its job
 * has ended; then they go, unless an accepted unit names the same.
 */

import { setImmediate } from 'node:timers/promises'
import type { Digest } from '../../protocol/canonical.ts'
import type { JobId } from '../../protocol/manifest.ts'
import type { TreeStore } from '../store/tree-store.ts'
import type { UnitFileRefs } from '../store/unit-file-refs.ts'
import type { Step } from './stepper.ts'

type Components = {
  trees: Pick<TreeStore, 'drop' | 'digests'>
  /** Named by accepted units. */
  named: Pick<UnitFileRefs, 'has'>
  onError(error: unknown): void
}

/** Looked at in one turn of the event loop. */
const LOOKED_AT_ONCE = 256

export class LooseFiles {
  readonly #components: Components
  /** Of attempts that come, wait for their unit's decision, or for that to be written; by how many. */
  readonly #wanted = new Map<Digest, number>()
  readonly #waiting = new Map<JobId, Map<number, Digest[]>>()
  #decided: Digest[] = []
  #leaving: Digest[] = []
  #work: Promise<void> | null = null
  #stopped = false

  constructor(components: Components) {
    this.#components = components
  }

  /** They are fetched from now on: until `came` or `failed`. */
  expect(tree: Digest): void {
    this.#wanted.set(tree, (this.#wanted.get(tree) ?? 0) + 1)
  }

  came(job: JobId, unit: number, tree: Digest): void {
    const units = this.#waiting.get(job) ?? new Map<number, Digest[]>()
    this.#waiting.set(job, units)
    units.set(unit, [...(units.get(unit) ?? []), tree])
  }

  failed(tree: Digest): void {
    this.#release(tree)
    this.discard([tree]).catch(this.#components.onError)
  }

  /** Call it after each step. */
  heard({ event, effects }: Pick<Step, 'event' | 'effects'>, isDecided: (job: JobId, unit: number) => boolean): void {
    if (this.#waiting.size === 0) return
    const units = event.type === 'results' ? event.attempts.map(({ unit }) => ({ job: event.job, unit })) : []
    for (const effect of effects) if (effect.type === 'accepted' || effect.type === 'failed') units.push(effect)
    for (const { job, unit } of units) {
      const waiting = this.#waiting.get(job)
      const trees = waiting?.get(unit)
      if (waiting === undefined || trees === undefined || !isDecided(job, unit)) continue
      this.#decided.push(...trees)
      waiting.delete(unit)
      if (waiting.size === 0) this.#waiting.delete(job)
    }
  }

  ended(job: JobId): void {
    for (const trees of this.#waiting.get(job)?.values() ?? []) this.#decided.push(...trees)
    this.#waiting.delete(job)
  }

  /** All that was decided is written: what it does not name can go. */
  written(): void {
    if (this.#decided.length === 0) return
    const decided = this.#decided
    this.#decided = []
    for (const tree of decided) this.#release(tree)
    this.discard(decided).catch(this.#components.onError)
  }

  /** Removes those of them that nobody needs. */
  async discard(trees: readonly Digest[]): Promise<void> {
    if (this.#stopped || trees.length === 0) return
    for (const tree of trees) this.#leaving.push(tree)
    this.#work ??= this.#drop().finally(() => {
      this.#work = null
    })
    await this.#work
  }

  /** Removes what an earlier process fetched and nobody accepted. */
  async sweep(): Promise<void> {
    await this.discard(this.#components.trees.digests())
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#work?.catch(() => undefined)
  }

  async #drop(): Promise<void> {
    const { trees, named } = this.#components
    while (this.#leaving.length > 0) {
      const leaving = this.#leaving
      this.#leaving = []
      for (const [i, tree] of leaving.entries()) {
        if (i % LOOKED_AT_ONCE === LOOKED_AT_ONCE - 1) await setImmediate()
        if (this.#stopped) return
        if (!this.#wanted.has(tree) && !named.has(tree)) await trees.drop(tree)
      }
    }
  }

  #release(tree: Digest): void {
    const others = (this.#wanted.get(tree) ?? 1) - 1
    if (others === 0) this.#wanted.delete(tree)
    else this.#wanted.set(tree, others)
  }
}
