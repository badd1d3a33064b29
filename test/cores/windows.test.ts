import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openWindow, targetMs } from '../../node/jobs/scheduler/window.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { adOf, Desk, QUORUM } from './fixture.ts'

test('first frames are small, later ones large, none over the bound', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(1_000_000)
  const frames: number[] = []
  for (let i = 0; i < 300; i++) {
    desk.now += 2
    for (const effect of desk.ends('a', desk.holds('a').slice(0, 256), '1')) {
      if (effect.type === 'run') frames.push(effect.units.length)
    }
  }
  expect(desk.seen('run')[0]?.units).toEqual([0])
  expect(Math.max(...frames)).toBe(LIMITS.FRAME_UNITS_MAX)
  expect(desk.seat('a').window).toBe(LIMITS.PEER_WINDOW_UNITS_MAX)
})

test.each([
  [10, 0],
  [100, 0],
  [10, 800],
  [100, 800],
])('with units of %i ms, %i ms away, the window settles at what the peer does in the target time', (unitMs, awayMs) => {
  const desk = new Desk()
  desk.up('a')
  desk.job(100_000)
  const arrives = new Map<number, number>()
  const sent: { unit: number; at: number }[] = []
  const widths: number[] = []
  let freeAt = 0
  for (; desk.now < 30_000; desk.now += unitMs / 2) {
    for (const unit of desk.holds('a')) if (!arrives.has(unit)) arrives.set(unit, desk.now + awayMs / 2)
    for (const [unit, at] of arrives) {
      if (at > desk.now || freeAt > desk.now || sent.some((end) => end.unit === unit)) continue
      freeAt = Math.max(freeAt, at) + unitMs
      sent.push({ unit, at: freeAt + awayMs / 2 })
    }
    for (const end of sent.splice(0, sent.findLastIndex(({ at }) => at <= desk.now) + 1)) {
      const heldMs = end.at - awayMs / 2 - (arrives.get(end.unit) ?? 0)
      arrives.delete(end.unit)
      desk.ends('a', [end.unit], '1', 'job', [end.unit, heldMs])
    }
    desk.step({ type: 'peer.alive', peer: 'a' })
    if (desk.now > 15_000) widths.push(desk.seat('a').window)
  }
  const width = widths.reduce((sum, size) => sum + size, 0) / widths.length
  expect(width * unitMs).toBeGreaterThan(0.7 * targetMs(awayMs, unitMs))
  expect(width * unitMs).toBeLessThan(1.6 * targetMs(awayMs, unitMs))
})

test('frames have about 100 ms of work', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(100_000)
  const frames: number[] = []
  for (let i = 0; i < 3_000; i++) {
    desk.now += 2
    for (const effect of desk.ends('a', desk.holds('a').slice(0, 1), '1')) {
      if (effect.type === 'run' && i > 2_000) frames.push(effect.units.length)
    }
  }
  expect(frames.reduce((sum, units) => sum + units, 0) / frames.length).toBeGreaterThan(25)
  expect(Math.max(...frames)).toBeLessThanOrEqual(60)
})

test('units of hours are not queued: a peer holds as many as it has slots', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(100)
  for (let i = 0; i < 5; i++) {
    desk.pass(3_600_000, ['a'])
    desk.ends('a', desk.holds('a').slice(0, 1), '1')
  }
  expect(desk.holds('a')).toHaveLength(1)
})

test('whatever comes, bounds hold', () => {
  const move = fc.record({
    peer: fc.constantFrom('a', 'b', 'c'),
    wait: fc.constantFrom(0, 0.1, 50, 2_000, 40_000),
    what: fc.constantFrom('end', 'fail', 'handback', 'down', 'up', 'refuse', 'alive'),
    count: fc.integer({ min: 1, max: 300 }),
  })
  fc.assert(
    fc.property(fc.array(move, { maxLength: 60 }), fc.boolean(), (moves, quorum) => {
      const desk = new Desk()
      desk.up('a', 'b', 'c')
      desk.job(10_000, quorum ? QUORUM : {})
      for (const { peer, wait, what, count } of moves) {
        desk.pass(wait, ['a', 'b', 'c'])
        const units = desk.holds(peer).slice(0, count)
        if (what === 'end') desk.ends(peer, units, '1')
        else if (what === 'fail') desk.ends(peer, units, { code: 'E_UNIT_CRASHED', blame: 'machine' })
        else if (what === 'down') desk.down(peer)
        else if (what === 'up') {
          desk.down(peer)
          desk.up(peer)
        } else if (what === 'alive') desk.step({ type: 'peer.alive', peer })
        else {
          const gone = what === 'handback' ? units : desk.holds(peer)
          desk.held.set(
            peer,
            desk.holds(peer).filter((unit) => !gone.includes(unit)),
          )
          if (what === 'handback') desk.step({ type: 'handback', peer, job: 'job', units, code: 'E_BUSY' })
          else desk.step({ type: 'job.refused', peer, job: 'job', code: 'E_BUSY', retryAfterMs: 10 })
        }
        for (const seat of desk.scheduler.seats('job')) {
          expect(seat.inFlight).toBe(desk.holds(seat.peer).length)
          expect(new Set(desk.holds(seat.peer)).size).toBe(seat.inFlight)
          expect(seat.window).toBeLessThanOrEqual(LIMITS.PEER_WINDOW_UNITS_MAX)
        }
        const { size, accepted, failed, running, waiting } = desk.progress()
        expect(accepted + failed + running + waiting.reduce((sum, { units: n }) => sum + n, 0)).toBe(size)
      }
      for (const { units } of desk.seen('run')) expect(units.length).toBeLessThanOrEqual(LIMITS.FRAME_UNITS_MAX)
    }),
    { numRuns: 100 },
  )
})

test('jobs take turns on a peer', () => {
  const desk = new Desk()
  desk.step({ type: 'peer.up', peer: 'a', trust: 'member', ad: adOf('a', { cpus: 4 }) })
  for (const id of ['x', 'y', 'z']) desk.job(10_000, {}, id)
  const ended = new Map([
    ['x', 0],
    ['y', 0],
    ['z', 0],
  ])
  const queue = desk.seen('run').map(({ job, units }) => ({ job, units }))
  for (let i = 0; i < 300; i++) {
    desk.now += 10
    const next = queue.shift()
    if (next === undefined) break
    ended.set(next.job, (ended.get(next.job) ?? 0) + next.units.length)
    for (const effect of desk.ends('a', next.units, '1', next.job)) {
      if (effect.type === 'run') queue.push({ job: effect.job, units: effect.units })
    }
  }
  const shares = [...ended.values()]
  expect(Math.min(...shares)).toBeGreaterThan(0.5 * Math.max(...shares))
})

test('few units are spread over the peers, however fast the first one came', () => {
  const desk = new Desk()
  const cpus = 8
  desk.step({ type: 'peer.up', peer: 'a', trust: 'member', ad: adOf('a', { cpus }) })
  desk.job(16)
  desk.step({ type: 'peer.up', peer: 'b', trust: 'member', ad: adOf('b', { cpus }) })
  expect([desk.holds('a').length, desk.holds('b').length]).toEqual([8, 8])
})

test('units of several cores are spread by how many a peer runs at once', () => {
  const desk = new Desk()
  desk.step({ type: 'peer.up', peer: 'wide', trust: 'member', ad: adOf('wide', { cpus: 8 }) })
  desk.step({ type: 'peer.up', peer: 'small', trust: 'member', ad: adOf('small', { cpus: 3 }) })
  desk.job(4, { cpus: 4 })
  expect([desk.holds('wide').length, desk.holds('small').length]).toEqual([2, 0])
  desk.job(100, { cpus: 4 }, 'long')
  for (let i = 0; i < 20; i++) {
    desk.pass(100, ['wide', 'small'])
    desk.ends('wide', desk.holds('wide').slice(0, 2), '1', i < 2 ? 'job' : 'long')
    expect(desk.holds('wide').length).toBeLessThanOrEqual(2 * 2)
  }
  expect(desk.seat('small', 'long').reason).toBe('own-limits')
  // An owner who offers more is given units at once.
  desk.step({ type: 'peer.ad', peer: 'small', ad: adOf('small', { cpus: 4, seq: 2 }) })
  expect(desk.holds('small').length).toBe(1)
})

test('windows shrink before the last unit is given out, so that nobody waits long for the last peer', () => {
  const desk = new Desk()
  const peers = Array.from({ length: 10 }, (_, i) => `p${i}`)
  desk.up(...peers)
  desk.job(8_000)
  let widest = 0
  while (desk.progress().waiting.length > 0) {
    desk.now += 10
    for (const peer of peers) desk.ends(peer, desk.holds(peer).slice(0, 1), '1')
    widest = Math.max(widest, ...peers.map((peer) => desk.holds(peer).length))
  }
  expect(widest).toBeGreaterThan(30)
  for (const peer of peers) expect(desk.holds(peer).length).toBeLessThan(10)
})

test('the best ranked peer is served first', () => {
  const desk = new Desk()
  for (const [peer, disk] of [
    ['a', 10],
    ['b', 30],
    ['c', 20],
  ] as const) {
    desk.step({ type: 'peer.up', peer, trust: 'member', ad: adOf(peer, { disk }) })
  }
  desk.job(2, { rank: 'peer.disk' })
  expect(desk.holds('b')).toHaveLength(1)
  expect(desk.holds('c')).toHaveLength(1)
})

test('near the end a unit far behind is run elsewhere, the first result wins, the other copy is revoked', () => {
  const desk = new Desk()
  desk.up('slow', 'fast')
  desk.job(20)
  const stuck = desk.holds('slow')[0] ?? -1
  while (desk.progress().accepted < 19) {
    desk.pass(100, ['slow', 'fast'])
    desk.endsAll('fast', '1')
    desk.ends(
      'slow',
      desk.holds('slow').filter((unit) => unit !== stuck),
      '1',
    )
    expect(desk.now).toBeLessThan(60_000)
  }
  desk.pass(2_000, ['slow', 'fast'])
  expect(desk.holds('fast')).toEqual([stuck])
  expect(desk.holds('slow')).toEqual([stuck])
  desk.ends('fast', [stuck], '1')
  expect(desk.seen('revoke').at(-1)).toEqual({ type: 'revoke', peer: 'slow', job: 'job', units: [stuck] })
  expect(desk.seen('settled')).toHaveLength(1)
  // What the slow peer spent on it is told, once, whether or not it ends.
  expect(desk.progress()).toMatchObject({ executions: 21, wasted: 1 })
  desk.ends('slow', [stuck], '1')
  expect(desk.progress()).toMatchObject({ executions: 21, wasted: 1 })
})

/** Units of 100 ms; `fast` ends one each 100 ms, and all but the last are ended. */
function lastUnitWith(other: string, speed: number): { desk: Desk; last: number } {
  const desk = new Desk()
  desk.up('fast')
  desk.step({ type: 'peer.up', peer: other, trust: 'member', ad: adOf(other, { speed }) })
  desk.job(41)
  let otherSince = 0
  while (desk.progress().accepted < 40) {
    desk.pass(100, ['fast', other])
    desk.ends('fast', desk.holds('fast').slice(0, 1), '1')
    if (desk.now - otherSince < 150 / speed || desk.progress().accepted >= 40) continue
    desk.ends(other, desk.holds(other).slice(0, 1), '1')
    otherSince = desk.now
  }
  const holder = desk.holds('fast').length > 0 ? 'fast' : other
  return { desk, last: desk.holds(holder)[0] ?? -1 }
}

test('a unit that is expected to end soon is not copied; one that is long overdue is', () => {
  const { desk, last } = lastUnitWith('even', 1.5)
  const holders = () => ['fast', 'even'].filter((peer) => desk.holds(peer).includes(last))
  desk.pass(80, ['fast', 'even'])
  expect(holders()).toHaveLength(1)
  desk.pass(1_000, ['fast', 'even'])
  expect(holders()).toHaveLength(2)
})

test('a copy goes to nobody who would end it later', () => {
  const { desk, last } = lastUnitWith('slow', 0.05)
  expect(desk.holds('fast')).toEqual([last])
  desk.pass(300, ['fast', 'slow'])
  expect(desk.holds('slow')).not.toContain(last)
})

test('units nobody has begun move from a busy peer to an idle one', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(1_000)
  for (let i = 0; i < 600; i++) {
    desk.now += 10
    desk.ends('a', desk.holds('a').slice(0, 1), '1')
  }
  // The rest of the sweep is in the hands of one peer that has become slow.
  desk.pass(1_000, ['a'])
  const before = desk.holds('a').length
  desk.up('b')
  for (let i = 0; i < 200; i++) {
    desk.pass(50, ['a', 'b'])
    desk.endsAll('b', '1')
  }
  expect(before).toBeGreaterThan(10)
  expect(desk.progress().accepted).toBe(1_000)
})

test('undecided units are bounded: a fast peer does not run ahead of the quorum without end', () => {
  const desk = new Desk()
  desk.up('fast')
  desk.job(LIMITS.UNDECIDED_UNITS_MAX + 10_000, QUORUM)
  for (let i = 0; i < 100_000 && desk.holds('fast').length > 0; i++) {
    desk.now += 5
    desk.endsAll('fast')
  }
  expect(desk.scheduler.load().undecidedUnits).toBe(LIMITS.UNDECIDED_UNITS_MAX)
  desk.up('other')
  desk.endsAll('other')
  expect(desk.progress().accepted).toBeGreaterThan(0)
})

test('the values of undecided units are bounded', () => {
  const desk = new Desk()
  desk.up('fast')
  desk.job(100_000, { ...QUORUM, agree: { kind: 'tolerance' } })
  const value = JSON.stringify('x'.repeat(LIMITS.UNIT_RESULT_MAX_BYTES - 2))
  for (let i = 0; i < 10_000 && desk.holds('fast').length > 0; i++) {
    desk.now += 100
    desk.endsAll('fast', value)
  }
  const { undecidedUnits } = desk.scheduler.load()
  const most = LIMITS.UNDECIDED_VALUES_MAX_BYTES / LIMITS.UNIT_RESULT_MAX_BYTES
  expect(undecidedUnits).toBeGreaterThanOrEqual(most)
  expect(undecidedUnits).toBeLessThan(2 * most)
})

test('a unit that hangs everywhere is copied SPARE_COPIES_MAX times, not to every idle peer', () => {
  const desk = new Desk()
  const peers = Array.from({ length: 20 }, (_, i) => `p${i}`)
  desk.up(...peers)
  desk.job(2)
  const [stuck, ended] = [0, 1]
  const holders = () => peers.filter((peer) => desk.holds(peer).includes(stuck))
  const quick = peers.find((peer) => desk.holds(peer).includes(ended)) ?? ''
  desk.now += 10
  desk.ends(quick, [ended], '1')
  for (let i = 0; i < 50; i++) desk.pass(500, peers)
  expect(holders()).toHaveLength(1 + LIMITS.SPARE_COPIES_MAX)
})

test('what is decided before a restart is not run again', () => {
  const desk = new Desk()
  desk.up('a')
  const settled = Array.from({ length: 50 }, (_, i) => 2 * i)
  desk.job(100, {}, 'job', { settled })
  while (desk.seen('settled').length === 0) {
    desk.now += 1
    desk.endsAll('a')
  }
  const units = desk.seen('accepted').map(({ unit }) => unit)
  expect(units.sort((a, b) => a - b)).toEqual(settled.map((unit) => unit + 1))
  desk.job(3, {}, 'done', { settled: [0, 1, 2] })
  expect(desk.seen('settled').at(-1)).toEqual({ type: 'settled', job: 'done' })
})

test('a cancelled job is taken back everywhere and says no more', () => {
  const desk = new Desk()
  desk.up('a')
  desk.job(10)
  expect(desk.step({ type: 'job.cancelled', job: 'job' })).toEqual([
    { type: 'revoke', peer: 'a', job: 'job', units: null },
  ])
  expect(desk.ends('a', [0], '1')).toEqual([])
  expect(desk.scheduler.load()).toMatchObject({ jobs: 0, inFlight: 0 })
})

test('every reason to wait can be told', () => {
  const reason = (desk: Desk) => desk.progress().waiting.map((entry) => entry.reason)
  const desk = new Desk()
  desk.job(1, { require: 'peer.cpus > 1' })
  expect(reason(desk)).toEqual(['no-peer'])
  desk.up('a')
  expect(reason(desk)).toEqual(['no-match'])
  desk.job(1_000, {}, 'big')
  expect(desk.progress('big').waiting.map((entry) => entry.reason)).toEqual(['busy'])
  desk.job(1_000, QUORUM, 'pair')
  expect(desk.progress('pair').waiting.map((entry) => entry.reason)).toEqual(['quorum-short'])
})

test('a fresh window is two units a slot, and never over the bound', () => {
  expect(openWindow(3, 0).size).toBe(6)
  expect(openWindow(LIMITS.PEER_WINDOW_UNITS_MAX, 0).size).toBe(LIMITS.PEER_WINDOW_UNITS_MAX)
})
