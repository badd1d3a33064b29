/** Which units are checked by a second peer whatever the first is worth. */

import { createHmac } from 'node:crypto'

/**
 * Marks a share of all units, the same at every call, after a restart, and at stewards that know the key. `key`: 16 random
 * bytes or more, drawn for each job and told to no worker: who knew which units are checked could lie on the others.
 */
export function checkedUnits(key: Uint8Array, share: number): (unit: number) => boolean {
  return (unit) => createHmac('sha256', key).update(`${unit}`).digest().readUInt32BE() < share * 2 ** 32
}
