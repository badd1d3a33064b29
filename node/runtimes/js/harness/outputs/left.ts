/** What a unit gives that leaves files: its value, to which the node adds them, and the files. */

export class Left {
  readonly #ours = true

  /** Unlike `instanceof`, asks nothing of a proxy. */
  static is(returned: unknown): returned is Left {
    return typeof returned === 'object' && returned !== null && #ours in returned
  }

  readonly value: object
  /** As programs collect them: a line, then a tar archive. Views of what the unit has, made one at a time. */
  readonly archive: Iterable<Uint8Array>

  constructor(value: object, archive: Iterable<Uint8Array>) {
    this.value = value
    this.archive = archive
  }
}
