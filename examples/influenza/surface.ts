/** The error over the grid of both rates. */

export type Fit = { beta: number; gamma: number; r0: number; sse: number }

export class Surface {
  /** Ascending. */
  readonly betas: readonly number[]
  /** Ascending. */
  readonly gammas: readonly number[]
  readonly #errors: Float64Array
  #best: Fit | undefined

  constructor(betas: readonly number[], gammas: readonly number[]) {
    this.betas = betas
    this.gammas = gammas
    this.#errors = new Float64Array(betas.length * gammas.length).fill(Number.NaN)
  }

  /** `unit` counts as a grid does: beta first, gamma fastest. */
  add(unit: number, fit: Fit): void {
    this.#errors[unit] = fit.sse
    if (this.#best === undefined || fit.sse < this.#best.sse) this.#best = fit
  }

  get best(): Fit | undefined {
    return this.#best
  }

  /** NaN where a unit failed. */
  at(beta: number, gamma: number): number {
    return this.#errors[beta * this.gammas.length + gamma] ?? Number.NaN
  }

  /** Smallest and largest logarithm (base 10) of the error. */
  logRange(): [number, number] {
    const known = this.#errors.filter((error) => error > 0)
    return [Math.log10(known.reduce((a, b) => Math.min(a, b))), Math.log10(known.reduce((a, b) => Math.max(a, b)))]
  }
}
