import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { jobExplanationSchema, peerExplanationSchema, unitExplanationSchema } from '../../protocol/explanation.ts'
import { JOB_ID, jobInfo } from '../api/fake-services.ts'
import { CliHarness } from './harness.ts'

let cli: CliHarness

beforeEach(async () => {
  cli = new CliHarness()
  await cli.start()
  cli.services.info = jobInfo({ state: 'running', units: 10, running: 3 })
})

afterEach(() => cli.dispose())

describe('explain', () => {
  test('a job', async () => {
    const { stdout, code } = await cli.run(['explain', JOB_ID.slice(0, 8)])
    expect(code).toBe(0)
    expect(stdout).toMatchInlineSnapshot(`
      "job    z3an2ietgulhvgidkdof3pqew5ifkt3y455bcmzs72ovjxehzhuq (squares)
      state  running
      units  3 of 10 decided, 3 running, 4 not
      peers  1 of 5 at work, 4 units in their hands
      after  z3an2ietgulh done, 2 units failed

      … 4 units · busy for 12 s: Busy with other units.
        nobody’s move → it goes on as units end; more machines make it faster

      PEERS  IDLE            FOR  BACK IN  CODES           WHO
          1  backoff       2.0 s    4.0 s  E_UNIT_CRASHED  calm-heron
          3  no-match  1 min 1 s                           a, b, …

      CLAUSE          EXCLUDES  LEFT
      peer.cpus >= 8         3     2
      "
    `)
  })

  test('a unit', async () => {
    expect((await cli.run(['explain', `${JOB_ID.slice(0, 8)}/7`])).stdout).toMatchInlineSnapshot(`
      "unit    7 of job z3an2ietgulh
      params  {"n":7}
      state   waiting
      wanted  1 further copy
      saved   2 KiB, 3.0 s ago

      … waiting · quorum-short for 12 s: Too few different peers are left to agree.
        your move → let more machines join, loosen \`require\`, or ask for a smaller quorum

      PEER        STANDS      GIVEN      SAID
      calm-heron  has spoken  5.0 s ago  abc
      12D3b       failed it   9.0 s ago  E_UNIT_CRASHED (machine) ended

      PEERS  IDLE            FOR  BACK IN  CODES           WHO
          1  backoff       2.0 s    4.0 s  E_UNIT_CRASHED  calm-heron
          3  no-match  1 min 1 s                           a, b, …
      "
    `)
  })

  test('a peer', async () => {
    expect((await cli.run(['explain', 'peer', 'calm-heron'])).stdout).toMatchInlineSnapshot(`
      "peer   calm-heron 12D3KooWcalmheron9fQ
      state  idle

      … idle · paused for 1 min: Paused by the owner of the machine.
        the machine owner's move → wait for its return, or ask the owner for \`talkoot resume\`
        back in 30 min, if its owner leaves it so

      JOB      UNITS  AGREED  OUTVOTED  IDLE
      squares      0      10         1  paused for 1 min  peer.cpus >= 8
      ! returned wrong results: outvoted on 1 of 11 units
      "
    `)
  })

  test('as JSON with a schema, and as reasons alone', async () => {
    const json = async (...what: string[]) => JSON.parse((await cli.run(['explain', ...what, '--json'])).stdout)
    expect(jobExplanationSchema.parse(await json(JOB_ID)).waiting[0]?.mover).toBe('nobody')
    expect(unitExplanationSchema.parse(await json(`${JOB_ID}/7`)).unit).toBe(7)
    expect(peerExplanationSchema.parse(await json('peer', 'calm-heron')).idle?.reason).toBe('paused')
    const quiet = async (...what: string[]) => (await cli.run(['explain', ...what, '-o', 'quiet'])).stdout
    expect(await quiet(JOB_ID)).toBe('busy\n')
    expect(await quiet(`${JOB_ID}/7`)).toBe('quorum-short\n')
    expect(await quiet('peer', 'calm-heron')).toBe('paused\n')
  })

  test.each([
    ['a job that is not there', ['zzz'], 'E_NOT_FOUND'],
    ['a unit that is no number', [`${JOB_ID}/x`], 'E_USAGE'],
    ['a peer that is not said', ['peer'], 'E_USAGE'],
    ['two things', [JOB_ID, 'more'], 'E_USAGE'],
  ])('refuses %s', async (_, what, error) => {
    const { code, stderr } = await cli.run(['explain', ...what])
    expect(code).toBe(2)
    expect(stderr).toContain(error)
  })
})

test('the machine is paused, for a while or not, and resumed', async () => {
  expect((await cli.run(['pause', '90m'])).stdout).toBe(
    '✔ paused for 1 h 30 min: nothing runs here, units were handed back\n',
  )
  expect((await cli.run(['status'])).stdout).toContain('paused    for 0 ms, back in 1 h 30 min')
  expect((await cli.run(['pause'])).stdout).toContain('until `talkoot resume`')
  expect((await cli.run(['resume', '-o', 'quiet'])).stdout).toBe('running\n')
  expect((await cli.run(['status'])).stdout).not.toContain('paused')
  expect((await cli.run(['pause', 'soon'])).code).toBe(2)
})

test('a job is held and released', async () => {
  expect((await cli.run(['job', 'hold', JOB_ID])).stdout).toContain('held')
  expect(JSON.parse((await cli.run(['job', 'release', JOB_ID, '--json'])).stdout).heldForMs).toBe(null)
})
