/** The distance to a match: which bounds, moved how far, would let how many more peers in. */

import type { Relaxation } from '../../../protocol/plan.ts'
import type { Candidate } from './expression.ts'
import { type Clause, clausesOf, type Wanted } from './policy.ts'

/** A peer that does not match, by the places of the clauses it fails. */
type Near = { candidate: Candidate; failed: number[] }

/**
 * Tries each set of clauses that some peer fails: its bounds moved to what those peers have, and for a single bound also
 * only as far as the nearest of them. At most `most`, the smallest changes first. @throws E_EXPRESSION
 */
export function relaxationsOf(policy: Wanted, candidates: readonly Candidate[], most: number): Relaxation[] {
  const clauses = clausesOf(policy)
  const near = candidates.flatMap((candidate): Near[] => {
    const failed = clauses.flatMap((clause, place) => (clause.holds(candidate) ? [] : [place]))
    return failed.length > 0 && failed.every((place) => isLoose(clauses[place], candidate))
      ? [{ candidate, failed }]
      : []
  })
  const groups = new Map(near.map(({ failed }) => [failed.join(), failed]))
  const found = [...groups.values()].flatMap((places) => relaxed(clauses, places, near))
  return found.sort((a, b) => a.changes.length - b.changes.length || b.gains - a.gains).slice(0, most)
}

/** Whether there is something to loosen that would let this peer in. */
function isLoose(clause: Clause | undefined, candidate: Candidate): boolean {
  if (clause === undefined) return false
  return clause.bound === null ? clause.asked : Number.isFinite(clause.bound.valueOf(candidate))
}

function relaxed(clauses: readonly Clause[], places: readonly number[], near: readonly Near[]): Relaxation[] {
  const inside = near.filter(({ failed }) => failed.every((place) => places.includes(place)))
  const exact = inside.filter(({ failed }) => failed.length === places.length)
  const far = change(clauses, places, exact, inside)
  const [only] = places
  const bound = only === undefined ? null : (clauses[only]?.bound ?? null)
  if (places.length > 1 || bound === null) return [far]
  const sign = bound.towards === 'lower' ? -1 : 1
  const nearest = exact.toSorted((a, b) => sign * (bound.valueOf(a.candidate) - bound.valueOf(b.candidate)))[0]
  const close = nearest === undefined ? far : change(clauses, places, [nearest], inside)
  return close.gains === far.gains ? [far] : [close, far]
}

/** Moves the bounds to the furthest that those of `reach` have, and counts who comes in. */
function change(
  clauses: readonly Clause[],
  places: readonly number[],
  reach: readonly Near[],
  inside: readonly Near[],
): Relaxation {
  const moved = places.map((place) => {
    const bound = clauses[place]?.bound ?? null
    if (bound === null) return { place, to: null, admits: () => true }
    const values = reach.map(({ candidate }) => bound.valueOf(candidate))
    const limit = bound.towards === 'lower' ? Math.min(...values) : Math.max(...values)
    const admits = (candidate: Candidate) =>
      bound.towards === 'lower' ? bound.valueOf(candidate) >= limit : bound.valueOf(candidate) <= limit
    return { place, to: bound.relaxed(limit), admits }
  })
  const gains = inside.filter(({ candidate, failed }) =>
    moved.every(({ place, admits }) => !failed.includes(place) || admits(candidate)),
  ).length
  return { changes: moved.map(({ place, to }) => ({ clause: clauses[place]?.text ?? '', to })), gains }
}
