/** A job nobody can run, on both sides of the local API. */

import type { PlacementClause } from './api.ts'
import { TalkootError } from './errors.ts'

/** E_JOB_UNPLACEABLE with what each clause excludes, so that the user sees which one to loosen. */
export class UnplaceableError extends TalkootError {
  readonly clauses: readonly PlacementClause[]

  constructor(message: string, clauses: readonly PlacementClause[]) {
    super('E_JOB_UNPLACEABLE', message, { meta: { clauses: clauses.map(describe) } })
    this.clauses = clauses
  }
}

const describe = ({ clause, excludes, remaining }: PlacementClause): string =>
  `${clause}: excludes ${excludes}, leaves ${remaining}`
