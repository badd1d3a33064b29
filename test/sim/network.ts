/**
 * The way between the submitter and one peer. Messages take time, overtake one another and come twice; while it is cut
 * they wait, and when its session ends those still under way are lost, but for some of what the peer sent.
 */

import type { World } from './world.ts'

export class Link {
  readonly #world: World
  readonly #latencyMs: number
  readonly #duplicates: number
  #waiting: (() => void)[] = []
  cut = false

  constructor(world: World, init: { latencyMs: number; duplicates: number }) {
    this.#world = world
    this.#latencyMs = init.latencyMs
    this.#duplicates = init.duplicates
  }

  send(deliver: () => void): void {
    const copies = this.#world.chance(this.#duplicates) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      this.#world.after(this.#latencyMs * this.#world.between(1, 3), () => {
        if (this.cut) this.#waiting.push(deliver)
        else deliver()
      })
    }
  }

  heal(): void {
    this.cut = false
    const waiting = this.#waiting
    this.#waiting = []
    for (const deliver of waiting) this.send(deliver)
  }
}
