import { describe, expect, test } from 'vitest'
import { OUTVOTED_MIN } from '../../node/jobs/scheduler/trust.ts'
import { Desk, QUORUM } from './fixture.ts'

const holdersOf = (desk: Desk, unit: number) => [...desk.held.keys()].filter((peer) => desk.holds(peer).includes(unit))

describe('copies', () => {
  test('a unit goes to as many peers as must agree at once, and to no more', () => {
    const desk = new Desk()
    desk.up('a', 'b', 'c')
    desk.job(1, QUORUM)
    expect(holdersOf(desk, 0)).toHaveLength(2)
  })

  test('two that agree decide; the evidence is gathered by peer, not by unit', () => {
    const desk = new Desk()
    desk.up('a', 'b')
    desk.job(4, QUORUM)
    for (let i = 0; i < 4; i++) for (const peer of ['a', 'b']) desk.endsAll(peer)
    expect(desk.seen('accepted')).toHaveLength(4)
    const agreed = desk.seen('evidence')
    expect(agreed.every(({ kind, unit }) => kind === 'agreed' && unit === null)).toBe(true)
    expect(agreed.reduce((sum, { count }) => sum + count, 0)).toBe(8)
    expect(desk.progress()).toMatchObject({ accepted: 4, executions: 8, disagreements: 0, waiting: [] })
  })

  test('peers are paired at random: every pair of four comes up', () => {
    const desk = new Desk()
    desk.up('a', 'b', 'c', 'd')
    desk.job(2_000, QUORUM)
    for (let i = 0; desk.progress().accepted < 2_000 && i < 10_000; i++) {
      desk.now += 1
      for (const peer of ['a', 'b', 'c', 'd']) if (desk.holds(peer).length > 0) desk.endsAll(peer)
    }
    const pairs = new Map<string, number>()
    for (const { voices } of desk.seen('accepted')) {
      const pair = voices
        .map(({ peer }) => peer)
        .sort()
        .join('')
      pairs.set(pair, (pairs.get(pair) ?? 0) + 1)
    }
    expect([...pairs.keys()].sort()).toEqual(['ab', 'ac', 'ad', 'bc', 'bd', 'cd'])
    expect(Math.min(...pairs.values())).toBeGreaterThan(50)
  })

  test('one peer never gets a second copy, whatever it waits', () => {
    const desk = new Desk()
    desk.up('a')
    desk.job(1, QUORUM)
    desk.endsAll('a')
    desk.pass(100_000, ['a'])
    expect(desk.holds('a')).toEqual([])
    expect(desk.progress()).toMatchObject({ running: 0, waiting: [{ reason: 'quorum-short', units: 1 }] })
    desk.up('b')
    desk.endsAll('b')
    expect(desk.seen('accepted')).toHaveLength(1)
  })

  test('a duplicate of a result is one voice', () => {
    const desk = new Desk()
    desk.up('a', 'b')
    desk.job(1, QUORUM)
    for (let i = 0; i < 5; i++) desk.ends('a', [0], '1')
    expect(desk.seen('accepted')).toEqual([])
    expect(desk.progress().executions).toBe(1)
  })

  test('the first word of a peer stays', () => {
    const desk = new Desk()
    desk.up('a', 'b')
    desk.job(1, QUORUM)
    desk.ends('a', [0], 'lie')
    desk.ends('a', [0], '1')
    desk.ends('b', [0], '1')
    expect(desk.seen('accepted')).toEqual([])
  })
})

describe('disagreement', () => {
  test('a third peer decides, and the outvoted one is named', () => {
    const desk = new Desk()
    desk.up('a', 'b')
    desk.job(1, QUORUM)
    desk.ends('a', [0], 'lie')
    desk.ends('b', [0], '1')
    expect(desk.progress().waiting).toMatchObject([{ reason: 'quorum-short', units: 1 }])
    desk.up('c')
    desk.ends('c', [0], '1')
    expect(desk.seen('accepted')).toMatchObject([
      {
        value: '1',
        attempts: 3,
      },
    ])
    const voices = desk.seen('accepted')[0]?.voices.map(({ peer, digest }) => `${peer}${digest}`)
    expect(voices?.sort()).toEqual(['a#lie', 'b#1', 'c#1'])
    expect(desk.seen('evidence')).toContainEqual({
      type: 'evidence',
      peer: 'a',
      job: 'job',
      unit: 0,
      kind: 'outvoted',
      count: 1,
    })
    expect(desk.progress().disagreements).toBe(1)
  })

  test('three that all differ: E_NO_QUORUM, nobody is blamed', () => {
    const desk = new Desk()
    desk.up('a', 'b', 'c')
    desk.job(1, QUORUM)
    for (const value of ['x', 'y', 'z']) desk.ends(holdersOf(desk, 0)[0] ?? '', [0], value)
    expect(desk.seen('failed')).toMatchObject([{ code: 'E_NO_QUORUM', blame: 'disagreement', attempts: 3 }])
    expect(desk.seen('evidence')).toEqual([])
  })

  test('a task that does not repeat: the job is stopped within 20 disagreements, and says what two of them found', () => {
    const desk = new Desk()
    const peers = ['a', 'b', 'c', 'd', 'e']
    desk.up(...peers)
    desk.job(10_000, QUORUM)
    let turn = 0
    const round = () => {
      for (const peer of peers) for (const unit of desk.holds(peer)) desk.ends(peer, [unit], `${++turn}`)
      desk.pass(10)
    }
    for (let i = 0; i < 1_000 && desk.seen('stopped').length === 0; i++) round()
    const [finding] = desk.seen('stopped').map((effect) => effect.finding)
    expect(finding).toMatchObject({ reason: 'not-repeatable', platforms: null })
    expect(new Set(finding?.values).size).toBe(2)
    expect(desk.progress().disagreements).toBeLessThanOrEqual(20)
    expect(desk.progress().waiting).toMatchObject([{ reason: 'not-repeatable' }])
    expect(peers.flatMap((peer) => desk.holds(peer))).toEqual([])
    // Whoever lets it go on sees it stopped again.
    desk.step({ type: 'job.gate', job: 'job', gate: null })
    for (let i = 0; i < 1_000 && desk.seen('stopped').length === 1; i++) round()
    expect(desk.seen('stopped')).toHaveLength(2)
  })

  test('a peer outvoted a few times gets no more of the job, and its word on open units is struck', () => {
    const desk = new Desk()
    desk.up('liar', 'b', 'c')
    const size = 40
    desk.job(size, QUORUM)
    let open: number[] = []
    for (let round = 0; round < 400 && desk.progress().accepted < size; round++) {
      desk.now += 10
      const lied = desk.holds('liar')
      desk.ends('liar', lied, 'lie')
      if (!desk.seat('liar').distrusted) open = lied
      for (const peer of ['b', 'c']) desk.endsAll(peer, '1')
      if (desk.scheduler.load().jobs === 0) break
    }
    expect(open).toBeDefined()
    const accepted = desk.seen('accepted')
    expect(accepted).toHaveLength(size)
    expect(accepted.every(({ value }) => value === '1')).toBe(true)
    const outvoted = desk.seen('evidence').filter(({ kind }) => kind === 'outvoted')
    expect(new Set(outvoted.map(({ peer }) => peer))).toEqual(new Set(['liar']))
    expect(outvoted.length).toBeGreaterThanOrEqual(OUTVOTED_MIN)
    expect(desk.seen('revoke')).toContainEqual({ type: 'revoke', peer: 'liar', job: 'job', units: null })
    const afterwards = desk.all.slice(desk.all.findIndex(({ type }) => type === 'revoke'))
    expect(afterwards.filter((effect) => effect.type === 'run' && effect.peer === 'liar')).toEqual([])
  })

  test('the word of a peer that is blocked counts for nothing on what is undecided, wherever it is by then', () => {
    const desk = new Desk()
    desk.up('a', 'b', 'c')
    desk.job(1, { verify: { kind: 'quorum', agree: 2, of: 5 } })
    const [blocked = '', second = ''] = holdersOf(desk, 0)
    desk.ends(blocked, [0], 'lie')
    desk.down(blocked)
    desk.step({ type: 'peer.down', peer: blocked, code: 'E_BLOCKED' })
    desk.ends(second, [0], 'lie')
    expect(desk.seen('accepted')).toEqual([])
    const [third = ''] = holdersOf(desk, 0)
    desk.ends(third, [0], 'lie')
    expect(desk.seen('accepted')).toHaveLength(1)
  })

  test('two that lie alike cannot use a voice that was struck', () => {
    const desk = new Desk()
    desk.up('liar', 'b', 'c')
    desk.job(100, { verify: { kind: 'quorum', agree: 2, of: 5 } })
    // The liar's word on one unit stays open while it is caught on others.
    const kept = desk.holds('liar').at(-1) ?? 0
    desk.ends('liar', [kept], 'lie')
    const round = () => {
      desk.now += 10
      desk.ends('liar', desk.holds('liar'), 'lie')
      for (const peer of ['b', 'c']) {
        const others = desk.holds(peer).filter((unit) => unit !== kept)
        desk.ends(peer, others, '1')
      }
    }
    for (let i = 0; i < 200 && !desk.seat('liar').distrusted; i++) round()
    expect(desk.seat('liar').distrusted).toBe(true)
    // Two others are asked at once in its stead.
    for (let i = 0; i < 20 && holdersOf(desk, kept).length < 2; i++) round()
    expect(holdersOf(desk, kept)).toEqual(['b', 'c'])
    const accomplice = holdersOf(desk, kept)[0] ?? ''
    desk.ends(accomplice, [kept], 'lie')
    expect(desk.seen('accepted').filter(({ unit }) => unit === kept)).toEqual([])
  })
})

describe('agreement', () => {
  test('tolerance: values near one another agree, the accepted one is the same in any order', () => {
    const agree = { kind: 'tolerance', relative: 1e-3 }
    const accepted = ['ab', 'ba'].map((order) => {
      const desk = new Desk()
      desk.up('a', 'b')
      desk.job(1, { ...QUORUM, agree })
      for (const peer of order) desk.ends(peer, [0], peer === 'a' ? '1.0001' : '1')
      return desk.seen('accepted')[0]?.value
    })
    expect(accepted).toEqual(['1', '1'])
  })

  test('function: pairs are asked for once, and the answer decides', () => {
    const desk = new Desk()
    desk.up('a', 'b')
    desk.job(2, { ...QUORUM, agree: { kind: 'function' } })
    for (let i = 0; i < 2; i++) {
      desk.endsAll('a', '1')
      desk.endsAll('b', '2')
    }
    const asked = desk.seen('compare')
    expect(asked).toHaveLength(2)
    expect(asked[0]).toMatchObject({ a: { digest: '#1', value: '1' }, b: { digest: '#2', value: '2' } })
    expect(desk.progress().waiting).toMatchObject([{ reason: 'comparing', units: 2 }])
    const [same, other] = asked.map(({ unit }) => unit)
    desk.step({ type: 'compared', job: 'job', unit: same ?? 0, a: '#2', b: '#1', same: true })
    expect(desk.seen('accepted')).toMatchObject([{ unit: same, value: '1' }])
    desk.step({ type: 'compared', job: 'job', unit: other ?? 0, a: '#1', b: '#2', same: false })
    desk.step({ type: 'compared', job: 'job', unit: other ?? 0, a: '#1', b: '#2', same: true })
    expect(desk.seen('accepted')).toHaveLength(1)
    expect(desk.progress().waiting).toMatchObject([{ reason: 'quorum-short', units: 1 }])
  })
})
