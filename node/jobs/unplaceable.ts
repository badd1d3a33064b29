import type { PlacementClause } from '../../protocol/api.ts'
import { TalkootError } from '../../protocol/errors.ts'

/** E_JOB_UNPLACEABLE with what each clause excludes, so that the user sees which one to loosen. */
export class UnplaceableError extends TalkootError {
  readonly clauses: PlacementClause[]

  constructor(message: string, clauses: PlacementClause[]) {
    super('E_JOB_UNPLACEABLE', message)
    this.clauses = clauses
  }
}
