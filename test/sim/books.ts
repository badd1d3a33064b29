/** What the submitter's ledger would hold of a job that asks for a confidence: it outlives restarts. */

import type { Recalled, SchedulerEffect } from '../../node/jobs/scheduler/events.ts'
import type { World } from './world.ts'

type Recall = Extract<SchedulerEffect, { type: 'recall' }>

export class Books {
  readonly #world: World
  readonly #kept: boolean
  readonly decisions = new Map<number, Recalled>()
  readonly #catches = new Map<number, { unit: number; peer: string; checks: number; caught: number; at: number }[]>()
  readonly #credits = new Map<string, { checks: number; caught: number; at: number }>()

  /** `kept`: decisions are; without a confidence nothing asks for them, and a million take memory. */
  constructor(world: World, { kept }: { kept: boolean }) {
    this.#world = world
    this.#kept = kept
  }

  note(effect: SchedulerEffect): void {
    if (effect.type === 'credit') {
      const { peer, checks, caught } = effect
      this.#credits.set(peer, { checks, caught, at: this.#world.now })
    } else if (!this.#kept) return
    else if (effect.type === 'caught') {
      const { unit, peer, checks, caught } = effect
      const known = this.#catches.get(unit) ?? []
      this.#catches.set(unit, [...known, { unit, peer, checks, caught, at: this.#world.now }])
    } else if (effect.type === 'cleared') this.#catches.delete(effect.unit)
    else if (effect.type === 'reopened') {
      if (effect.withdrawn) this.decisions.delete(effect.unit)
    } else if (effect.type === 'accepted') {
      const { unit, value, voices } = effect
      this.decisions.set(unit, { unit, ok: true, said: `=${value}`, value, voices })
    } else if (effect.type === 'failed') {
      const { unit, code, voices } = effect
      this.decisions.set(unit, { unit, ok: false, said: code, value: '', voices })
    }
  }

  credit(peer: string): { checks: number; caught: number; ageMs: number } | null {
    const known = this.#credits.get(peer)
    return known === undefined ? null : { ...known, ageMs: this.#world.now - known.at }
  }

  get catches(): { unit: number; peer: string; checks: number; caught: number; ageMs: number }[] {
    const all = [...this.#catches.values()].flat()
    return all.map(({ at, ...taken }) => ({ ...taken, ageMs: this.#world.now - at }))
  }

  isCaught(peer: string): boolean {
    return (this.#credits.get(peer)?.caught ?? 0) > 0
  }

  read({ of }: Recall): Recalled[] {
    if ('units' in of) return of.units.flatMap((unit) => this.decisions.get(unit) ?? [])
    const named = (peer: string) => ('peer' in of ? peer === of.peer : this.isCaught(peer))
    return [...this.decisions.values()].filter(({ voices }) => voices.some(({ peer }) => named(peer)))
  }
}
