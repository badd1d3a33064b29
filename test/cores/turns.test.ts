/** Fair share of slots: the decision alone, in simulated time. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VirtualTime } from '../../node/worker/virtual-time.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { Machine, Work } from './machine.ts'

/** Unit lengths of one job: all alike, or of two kinds. */
const lengths = fc
  .tuple(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 7 }))
  .map(([a, b, every]) => {
    let count = 0
    return () => (count++ % every === 0 ? a : b)
  })
const weight = fc.constantFrom(0.25, 0.5, 1, 1, 2, 3, 4)
const submitter = fc.record({
  weight,
  jobs: fc.array(fc.record({ unitMs: lengths, priority: fc.integer({ min: -2, max: 2 }) }), {
    minLength: 1,
    maxLength: 3,
  }),
})

describe('slot time among submitters that all have work', () => {
  it('follows their weights, whatever the lengths of their units and the number of their jobs', () => {
    fc.assert(
      fc.property(
        fc.array(submitter, { minLength: 2, maxLength: 5 }),
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        (submitters, slots, warm) => {
          const machine = new Machine({ slots, warm })
          for (const [s, { weight, jobs }] of submitters.entries()) {
            for (const job of jobs) machine.add(new Work({ submitter: `s${s}`, weight, ...job }))
          }
          const total = submitters.reduce((sum, { weight }) => sum + weight, 0)
          // Nobody can use more than all slots with work for all of them: each submitter has endless units.
          const time = 300_000
          machine.runTo(time)
          for (const [s, { weight }] of submitters.entries()) {
            const due = (time * slots * weight) / total
            // A quantum and a unit on each slot, however long it goes on.
            const off = slots * (LIMITS.SLOT_QUANTUM_MS + 400)
            expect(Math.abs(machine.usedBy(`s${s}`) - due)).toBeLessThan(0.01 * due + off)
          }
        },
      ),
      { numRuns: 40 },
    )
  })

  it('is never left unused', () => {
    const machine = new Machine({ slots: 3 })
    machine.add(new Work({ submitter: 'a', weight: 4 }), new Work({ submitter: 'b' }))
    machine.runTo(100_000)
    expect(machine.usedBy('a') + machine.usedBy('b')).toBeCloseTo(300_000, -2)
  })

  it('is counted in cores: who takes all of them with each unit has half of the time', () => {
    const machine = new Machine({ slots: 4, warm: true })
    machine.add(new Work({ submitter: 'wide', cpus: 4 }), new Work({ submitter: 'narrow' }))
    machine.runTo(400_000)
    expect((4 * machine.usedBy('wide')) / machine.usedBy('narrow')).toBeCloseTo(1, 1)
    expect(4 * machine.usedBy('wide') + machine.usedBy('narrow')).toBeGreaterThan(0.95 * 1_600_000)
  })

  it('is the part of the memory where that is more: who takes all of it alone pays for all slots', () => {
    const machine = new Machine({ slots: 4, memoryMiB: 1_024 })
    machine.add(new Work({ submitter: 'big', memoryMiB: 1_000 }), new Work({ submitter: 'small' }))
    machine.runTo(400_000)
    // Half of the time each: the one on one slot, the other on four.
    expect(machine.usedBy('big') / 400_000).toBeGreaterThan(0.4)
    expect(machine.usedBy('big') / 400_000).toBeLessThan(0.6)
    expect(machine.usedBy('small') / 1_600_000).toBeGreaterThan(0.35)
  })
})

describe('a submitter', () => {
  it('gains nothing in the long run by many jobs, or by ever new ones', () => {
    const machine = new Machine({ slots: 2, warm: true })
    machine.add(new Work({ submitter: 'one' }))
    let due = 0
    machine.runTo(60_000, () => {
      for (; due < machine.now; due += 100) machine.add(new Work({ submitter: 'crowd', units: 5 }))
    })
    expect(machine.usedBy('one') / 120_000).toBeGreaterThan(0.45)
  })

  it('gains nothing by staying away: at most a credit', () => {
    const machine = new Machine({ slots: 1, warm: true })
    const away = new Work({ submitter: 'away' })
    machine.add(new Work({ submitter: 'here' }), away)
    machine.runTo(5_000)
    away.units = 0
    machine.runTo(65_000)
    const before = machine.usedBy('away')
    away.units = Number.POSITIVE_INFINITY
    machine.runTo(85_000)
    expect(machine.usedBy('away') - before).toBeLessThan(10_000 + LIMITS.SHARE_CREDIT_MS + 200)
    expect(machine.usedBy('away') - before).toBeGreaterThan(9_000)
  })

  it('that used what others left is not made to pay for it', () => {
    // `narrow` has one unit at a time: the rest of the machine is the other’s, for ten minutes.
    const machine = new Machine({ slots: 8, warm: true })
    const narrow = new Work({ submitter: 'narrow', units: 1 })
    machine.add(narrow, new Work({ submitter: 'wide' }))
    machine.runTo(600_000, () => {
      if (narrow.running === 0) narrow.units = 1
    })
    const wide = machine.usedBy('wide')
    machine.add(new Work({ submitter: 'new' }))
    machine.runTo(600_000 + 10_000, () => {
      if (narrow.running === 0) narrow.units = 1
    })
    expect(machine.usedBy('wide') - wide).toBeGreaterThan(0.3 * 80_000)
    expect(machine.usedBy('new')).toBeGreaterThan(0.3 * 80_000)
  })
})

describe('the jobs of one submitter', () => {
  it('share by priority: each step doubles', () => {
    const machine = new Machine({ slots: 2, warm: true })
    const works = [-1, 0, 1, 2].map((priority) => new Work({ submitter: 'a', priority }))
    machine.add(...works)
    machine.runTo(300_000)
    const least = works[0]?.usedMs ?? 0
    for (const [i, { usedMs }] of works.entries()) expect(usedMs / least / 2 ** i).toBeCloseTo(1, 0)
  })

  it('have a turn in bounded time, also the lowest among the highest', () => {
    const machine = new Machine({ slots: 1, warm: true })
    const low = new Work({ submitter: 'a', priority: -LIMITS.PRIORITY_STEPS_MAX })
    machine.add(low, new Work({ submitter: 'a', priority: LIMITS.PRIORITY_STEPS_MAX }))
    machine.runTo(600_000)
    const turn = LIMITS.SLOT_QUANTUM_WARM_MS + LIMITS.SANDBOX_BATCH_MS
    expect(low.longestWaitMs).toBeLessThanOrEqual(turn * 2 ** (2 * LIMITS.PRIORITY_STEPS_MAX))
    expect(low.usedMs).toBeGreaterThan(0)
  })
})

describe('ever new jobs of a submitter', () => {
  it('do not keep its old ones waiting', () => {
    const machine = new Machine({ slots: 1, warm: true })
    const old = new Work({ submitter: 'a' })
    machine.add(old)
    let due = 0
    machine.runTo(60_000, () => {
      for (; due < machine.now; due += 50) machine.add(new Work({ submitter: 'a', units: 1, unitMs: () => 250 }))
    })
    expect(old.longestWaitMs).toBeLessThan(2 * LIMITS.SHARE_BORROW_MS)
    expect(old.usedMs).toBeGreaterThan(20_000)
  })

  it('begin by priority, and those of low priority in bounded time', () => {
    const machine = new Machine({ slots: 1, warm: true })
    const low = new Work({ submitter: 'a', units: 1, priority: -1 })
    machine.add(new Work({ submitter: 'a' }))
    machine.runTo(1_000)
    let due = 0
    const high: Work[] = []
    machine.add(low)
    machine.runTo(70_000, () => {
      for (; due < machine.now; due += 100) {
        const work = new Work({ submitter: 'a', units: 1, priority: 1, unitMs: () => 100 })
        high.push(work)
        machine.add(work)
      }
    })
    expect(high[10]?.firstAt).toBeLessThan(low.firstAt ?? 0)
    expect(low.firstAt).toBeLessThan(60_000)
  })
})

describe('no starvation', () => {
  it('whoever has units gets a slot in bounded time, whatever the cores, memory and lengths, and none is given twice', () => {
    const job = fc.record({
      submitter: fc.constantFrom('a', 'b', 'c'),
      cpus: fc.constantFrom(1, 1, 1, 2, 3, 4),
      memoryMiB: fc.constantFrom(64, 64, 256, 700, 1_024),
      unitMs: lengths,
    })
    fc.assert(
      fc.property(fc.array(job, { minLength: 2, maxLength: 8 }), fc.integer({ min: 1, max: 4 }), (jobs, slots) => {
        const machine = new Machine({ slots, memoryMiB: 1_024 })
        machine.add(...jobs.map((init) => new Work({ ...init, cpus: Math.min(init.cpus, slots) })))
        machine.runTo(200_000)
        expect(machine.mostCpus).toBeLessThanOrEqual(slots)
        expect(machine.mostMiB).toBeLessThanOrEqual(1_024)
        const worst = Math.max(...machine.works.map(({ longestWaitMs }) => longestWaitMs))
        // A turn each, of a quantum and a unit; who takes all of the machine is charged for all slots; room is waited for.
        const stay = LIMITS.SLOT_QUANTUM_MS + 400
        const turn = slots * stay + stay + LIMITS.ROOM_GRACE_MS
        expect(worst).toBeLessThan(2 * jobs.length * turn)
        for (const { usedMs } of machine.works) expect(usedMs).toBeGreaterThan(0)
      }),
      { numRuns: 40 },
    )
  })

  it('a job that needs most of the memory has it kept, beside small ones that never end', () => {
    const machine = new Machine({ slots: 4, memoryMiB: 1_024 })
    const big = new Work({ submitter: 'big', memoryMiB: 1_000 })
    machine.add(...[1, 2, 3].map((n) => new Work({ submitter: `small${n}`, unitMs: () => 333 + n })))
    machine.runTo(5_000)
    machine.add(big)
    machine.runTo(12_000)
    expect((big.firstAt ?? Number.POSITIVE_INFINITY) - 5_000).toBeLessThan(LIMITS.ROOM_GRACE_MS + 1_000)
  })

  it.each([
    ['another', 'big'],
    ['the same', 'small1'],
  ])(
    'a job of %s submitter whose units take all cores has them kept, beside short ones that never end',
    (_, submitter) => {
      const machine = new Machine({ slots: 8 })
      const wide = new Work({ submitter, cpus: 8, unitMs: () => 700 })
      machine.add(...[1, 2, 3].map((n) => new Work({ submitter: `small${n}`, unitMs: () => 333 + n })))
      machine.runTo(5_000)
      machine.add(wide)
      machine.runTo(60_000)
      expect((wide.firstAt ?? Number.POSITIVE_INFINITY) - 5_000).toBeLessThan(LIMITS.ROOM_GRACE_MS + 1_000)
      expect(machine.mostCpus).toBe(8)
      expect(wide.usedMs).toBeGreaterThan(5_000)
      // The others have theirs between its turns.
      for (const { longestWaitMs } of machine.works) expect(longestWaitMs).toBeLessThan(10_000)
    },
  )

  it.each([
    [
      'beside another of its submitter that fits, while its submitter is not next',
      [
        ['a', 700],
        ['a', 64],
        ['b', 64],
      ],
    ],
    [
      'though small jobs of its own submitter use up the share',
      [
        ['a', 700],
        ['b', 700],
        ['b', 1_024],
        ['b', 64],
      ],
    ],
  ] as [string, [string, number][]][])('a job has its turn %s', (_, jobs) => {
    const machine = new Machine({ slots: 3, memoryMiB: 1_024 })
    machine.add(...jobs.map(([submitter, memoryMiB]) => new Work({ submitter, memoryMiB, unitMs: () => 1 })))
    machine.runTo(200_000)
    for (const { longestWaitMs } of machine.works) expect(longestWaitMs).toBeLessThan(10_000)
  })

  it('what fits beside it goes on meanwhile', () => {
    const machine = new Machine({ slots: 4, memoryMiB: 1_024 })
    const [mid, tiny] = [
      new Work({ submitter: 'mid', memoryMiB: 500, unitMs: () => 10_000 }),
      new Work({ submitter: 'tiny', memoryMiB: 16 }),
    ]
    machine.add(mid)
    machine.runTo(100)
    machine.add(new Work({ submitter: 'big', memoryMiB: 1_000 }), tiny)
    machine.runTo(9_000)
    expect(tiny.usedMs).toBeGreaterThan(0)
  })
})

describe('a small job beside a huge one', () => {
  it.each([
    ['of the same submitter', 'huge'],
    ['of another', 'small'],
  ])('%s has its first slot with the next unit that ends', (_, submitter) => {
    const unitMs = () => 700
    const machine = new Machine({ slots: 2, switchMs: 200 })
    machine.add(new Work({ submitter: 'huge', unitMs }))
    machine.runTo(60_350)
    const small = new Work({ submitter, units: 20, unitMs: () => 10 })
    machine.add(small)
    machine.runTo(70_000)
    expect((small.firstAt ?? Number.POSITIVE_INFINITY) - 60_350).toBeLessThanOrEqual(700)
  })

  it('has it though its submitter has just had its turn', () => {
    const machine = new Machine({ slots: 1 })
    const [one, other] = [
      new Work({ submitter: 'a', unitMs: () => 20 }),
      new Work({ submitter: 'b', unitMs: () => 20 }),
    ]
    machine.add(one, other)
    machine.runTo(10_000)
    while (other.running === 0) machine.runTo(machine.now + 10)
    const small = new Work({ submitter: 'a', units: 20, unitMs: () => 10 })
    const asked = machine.now
    machine.add(small)
    machine.runTo(asked + 3_000)
    expect((small.firstAt ?? Number.POSITIVE_INFINITY) - asked).toBeLessThan(LIMITS.SLOT_STAY_MS + 100)
  })

  it('costs few changes of process: a crowd of new jobs does not chase each other away', () => {
    const machine = new Machine({ slots: 1 })
    machine.add(...Array.from({ length: 50 }, () => new Work({ submitter: 'a', units: 10, unitMs: () => 10 })))
    machine.runTo(20_000)
    expect(machine.works.every(({ units }) => units === 0)).toBe(true)
    expect(machine.switches).toBeLessThanOrEqual(50)
  })
})

it('virtual time remembers a bounded number of flows', () => {
  const time = new VirtualTime<number>()
  for (let i = 0; i < 10_000; i++) {
    time.demand(
      new Map([
        [i, 1],
        [-1, 1],
      ]),
      i,
    )
    time.begin(-1, 1, i)
    time.begin(i, 1, i)
    time.end(i, 1, i + 0.5)
    time.end(-1, 1, i + 0.5)
  }
  expect(time.size).toBeLessThan(400)
})
