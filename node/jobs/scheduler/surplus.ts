/** Copies that are in hands but not needed any more, as when who has spoken on their unit is believed alone by now. */

import { markBegun } from './pace.ts'
import type { Core, Seat, Unit } from './state.ts'
import { giveBack, revoke } from './units.ts'

/** Those that nobody has begun are taken back; `believed`: who is to be waited for, as one word of it is enough. */
export function takeBackSurplus(core: Core, unit: Unit, believed: Seat | null = null): void {
  for (const holder of unit.holders) {
    if (unit.running <= unit.needs + unit.spare) return
    const { seat, holding } = holder
    if (holding !== 'running' || seat === believed) continue
    markBegun(core, seat)
    if (holder.begunAt !== null) continue
    revoke(core, seat, unit.index)
    giveBack(core, unit, holder)
    core.refills.add(seat)
  }
}
