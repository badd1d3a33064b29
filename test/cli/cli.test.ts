import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { errorBodySchema, jobInfoSchema, jobsSchema, statusSchema } from '../../protocol/api.ts'
import { peersSchema } from '../../protocol/api-peers.ts'
import { tokensSchema } from '../../protocol/api-tokens.ts'
import { accepted, JOB_ID, jobInfo } from '../api/fake-services.ts'
import { CliHarness, capture } from './harness.ts'

let cli: CliHarness

beforeEach(async () => {
  cli = new CliHarness()
  await cli.start()
})

afterEach(() => cli.dispose())

function taskFile(): string {
  const file = join(cli.folder, 'square.task.ts')
  writeFileSync(file, 'export default ({ n }: { n: number }) => ({ square: n * n })\n')
  return file
}

describe('exit codes', () => {
  test('0: done', async () => {
    expect((await cli.run(['status'])).code).toBe(0)
    expect(await cli.run(['--version', '--json'])).toEqual(await cli.run(['version', '--json']))
  })

  test.each([
    ['an unknown verb', ['jbos'], /unknown command 'jbos'[\s\S]*jobs/],
    ['an unknown option', ['status', '--frob'], /unknown option '--frob'/],
    ['a missing argument', ['job', 'show'], /missing required argument 'job'/],
    ['an unknown format', ['status', '-o', 'xml'], /E_USAGE --output is one of table, wide, json, jsonl, quiet/],
    ['contradicting formats', ['status', '--json', '-o', 'table'], /E_USAGE/],
    ['nothing to run', ['run'], /E_USAGE what to run/],
    ['nothing after --', ['run', '--'], /E_USAGE what to run/],
    ['a program without --', ['run', 'echo', 'x'], /E_USAGE a program is given after --: `-- echo x`/],
    [
      'files for a module',
      ['run', 'a.task.ts', '--in', 'b'],
      /E_USAGE --in, --folder, --env and --stdin are for programs/,
    ],
    [
      'files for a task kept',
      ['job', 'retry-failed', JOB_ID, '--in', 'b'],
      /E_USAGE --in, --folder, .* go with a task: name it again/,
    ],
    ['no name of a variable', ['run', '--env', '=1', '--', 'a'], /E_USAGE --env is NAME=value/],
    ['a job that is not there', ['job', 'show', 'zzz'], /E_NOT_FOUND no job zzz/],
    ['a duration that is none', ['status', '--timeout', 'soon'], /E_USAGE "soon" is not a duration/],
    ['a token role that is none', ['token', 'create', '--role', 'king'], /E_USAGE[\s\S]*talkoot token create --help/],
  ])('2: %s', async (_what, argv, message) => {
    const { code, stdout, stderr } = await cli.run(argv)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
  })

  test('2: all that is wrong of a job, in a line', async () => {
    const { code, stderr } = await cli.run(['run', taskFile(), '-p', 'n=1', '--quorum', '0'])
    expect(code).toBe(2)
    expect(stderr).toMatch(/^✖ E_JOB_INVALID verify\.agree: Too small.*; verify: quorum.*\n {2}your move → .*\n$/)
  })

  test('3: no node runs', async () => {
    await cli.stop()
    const { code, stderr } = await cli.run(['peers'])
    expect(code).toBe(3)
    expect(stderr.replaceAll(cli.folder, 'FOLDER')).toMatchInlineSnapshot(`
      "✖ E_NOT_RUNNING no node runs on FOLDER/home
        your move → start the node with \`talkoot up\`
      "
    `)
  })

  test('4: nobody can run it, with what each clause excludes', async () => {
    cli.services.unplaceable = true
    const { code, stdout, stderr } = await cli.run(['run', taskFile(), '-p', 'n=1,2', '--require', 'peer.memory > 10'])
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' })
    expect(stderr).toMatchInlineSnapshot(`
      "✖ E_JOB_UNPLACEABLE no peer can run this job: 2 known
        CLAUSE                EXCLUDES  LEFT
        peer.memory > 10 TiB         2     0
        your move → loosen the named clause (\`talkoot plan\` says how far), or let a machine that satisfies it join
      "
    `)
    expect((await cli.run(['submit', taskFile(), '-p', 'n=1', '--queue'])).code).toBe(0)
  })

  test('5: units failed, or the job was cancelled', async () => {
    expect((await cli.run(['job', 'watch', JOB_ID])).code).toBe(5)
    cli.services.info = jobInfo({ state: 'cancelled', failed: 0 })
    expect((await cli.run(['job', 'watch', JOB_ID])).code).toBe(5)
  })

  test('6: not done in time', async () => {
    cli.services.watchSource = untilAborted
    const { code, stderr } = await cli.run(['job', 'watch', JOB_ID, '--timeout', '200ms'])
    expect(code).toBe(6)
    expect(stderr).toContain('E_WAITED not done within 200ms')
  })

  test('7: refused', async () => {
    const address = join(cli.folder, 'home', 'api.json')
    writeFileSync(address, readFileSync(address, 'utf8').replace(/"token":"[^"]+"/, '"token":"wrong"'))
    const { code, stderr } = await cli.run(['status'])
    expect(code).toBe(7)
    expect(stderr).toContain('E_UNAUTHORIZED')
  })

  test('7: a job that runs is not removed', async () => {
    cli.services.info = jobInfo({ state: 'running' })
    const { code, stderr } = await cli.run(['job', 'remove', JOB_ID])
    expect({ code, stderr: stderr.replaceAll(JOB_ID.slice(0, 8), 'JOB') }).toMatchInlineSnapshot(`
      {
        "code": 7,
        "stderr": "✖ E_JOB_RUNNING job JOB runs
        your move → wait until it has ended, or cancel it first: \`talkoot job cancel JOB\`
      ",
      }
    `)
    cli.services.info = jobInfo({ state: 'done' })
    expect(
      (await cli.run(['job', 'remove', JOB_ID])).stdout.replaceAll(JOB_ID.slice(0, 8), 'JOB'),
    ).toMatchInlineSnapshot(`
      "removed 1 job: JOB
      their room on the disk comes back bit by bit
      "
    `)
    expect((await cli.run(['job', 'remove', JOB_ID, '--output', 'quiet'])).stdout).toBe(`${JOB_ID}\n`)
    expect((await cli.run(['job', 'remove'])).code).toBe(2)
  })

  test('130: interrupted; a job that was being run is cancelled', async () => {
    const interruption = new AbortController()
    cli.services.info = jobInfo({ state: 'running', failed: 0 })
    const watching = Promise.withResolvers<void>()
    cli.services.watchSource = (signal) => {
      watching.resolve()
      return untilAborted(signal)
    }
    cli.services.resultsSource = (signal) => untilAborted(signal)
    const ran = cli.run(['run', taskFile(), '-p', 'n=1,2'], { interrupted: interruption.signal })
    await watching.promise
    interruption.abort()
    const { code, stderr } = await ran
    expect(code).toBe(130)
    expect(stderr).toContain('was cancelled; what it has: talkoot job results')
    expect(cli.services.info.state).toBe('cancelled')
  })
})

describe('tables', () => {
  test('status', async () => {
    const { stdout } = await cli.run(['status'])
    expect(stdout.replace(String(process.pid), 'PID')).toMatchInlineSnapshot(`
      "name      swift-otter
      peer      12D3KooWswiftotter9fQ
      mesh      private, fingerprint 7f3a-91c2, admin of it
      peers     1 connected
      offering  2 cores, 2 GiB, 1 GiB disk
      disk      3 MiB of 1 GiB for files of jobs, 5 KiB left by own units
      sandbox   deno in bubblewrap
      working   1 running, 4 queued, 128 done
      jobs      0 running, 1 done, 0 cancelled
      up        1 min 1 s, process PID, talkoot 0.1.0
      shares    calm-heron: 1 min 30 s of slot time, 75%, weight 2.50
                swift-otter: 30 s of slot time, 25%, weight 4.00
      "
    `)
  })

  test('who is blocked, and why', async () => {
    await cli.run(['peer', 'block', 'calm-heron', '--reason', 'overheats'])
    const { stdout } = await cli.run(['peer', 'trust', '--operator', 'acme'])
    expect(stdout).toMatchInlineSnapshot(`
      "WHO            IS         FOR  WHY
      calm-heron     blocked  1.0 s  overheats
      operator acme  trusted  1.0 s
      "
    `)
    expect((await cli.run(['peers'])).stdout).toContain('blocked and trusted\nWHO')
    expect((await cli.run(['peer', 'unblock', 'calm-heron', '--output', 'quiet'])).stdout).toBe('acme\n')
    expect((await cli.run(['peer', 'unblock', 'calm-heron'])).code).toBe(2)
    expect((await cli.run(['peer', 'block'])).code).toBe(2)
    expect((await cli.run(['peer', 'block', 'calm-heron', '--operator', 'acme'])).code).toBe(2)
  })

  test('peers, and who was turned away', async () => {
    expect((await cli.run(['peers'])).stdout).toMatchInlineSnapshot(`
      "NAME           PEER     ROLE    FREE/CORES  MEMORY  SPEED  REACH       AGREED  OUTVOTED  SEEN
      swift-otter *  …ter9fQ  member         1/2   2 GiB   1.25  dialable        10         0  this machine
      calm-heron     …ron9fQ  member         1/2   2 GiB   1.25  dialled us      10         0  400 ms ago

      turned away
      CODE           TIMES  LAST       FROM                  PEER
      E_TOKEN_WRONG      2  1.5 s ago  /ip4/127.0.0.1/tcp/9  unknown
      "
    `)
  })

  test('a peer', async () => {
    expect((await cli.run(['peer', 'show', 'calm-heron'])).stdout).toMatchInlineSnapshot(`
      "name        calm-heron
      peer        12D3KooWcalmheron9fQ
      role        member, trusted as member
      reach       dialled us
      address     /ip4/127.0.0.1/tcp/4802
      seen        400 ms ago
      standing    agreed 10, outvoted 0, went silent 1, faulty 0
      credit      4.0 checks survived, never caught; 8.0 when last seen 30 d ago, half of it every 30 d
      its word    wrong with a probability of 0.093% at most; believed alone at 0.999
      had here    1 min 30 s of slot time, weight 2.50, 1 running, 4 queued
      did for us  1 h of slot time
      offers      1 of 2 cores free, 2 GiB, 1 GiB disk
      speed       1.25
      system      linux x64, talkoot 0.1.0
      runtimes    js 2.9.6 (os)
      labels      room=b12
      "
    `)
  })

  test('jobs', async () => {
    expect((await cli.run(['jobs'])).stdout).toMatchInlineSnapshot(`
      "JOB     NAME     STATE               DONE/UNITS  FAILED   AGE
      z3an2i  squares  done, units failed         2/3       1  12 s
      "
    `)
  })

  test('a job', async () => {
    expect((await cli.run(['job', 'show', JOB_ID])).stdout).toMatchInlineSnapshot(`
      "job         z3an2ietgulhvgidkdof3pqew5ifkt3y455bcmzs72ovjxehzhuq
      name        squares
      state       done, units failed
      units       3: 2 accepted, 1 failed, 0 running
      executions  5, 0 disagreements
      agreement   unverified: the first result is taken
      age         12 s

      PEER        ACCEPTED
      calm-heron         2
      "
    `)
  })

  test('tokens', async () => {
    expect((await cli.run(['token', 'list'])).stdout).toMatchInlineSnapshot(`
      "TOKEN  STATE  ROLE    LEFT/USES  HOLDS  ADMITTED
      tok1   live   member        1/2  1 h           1
      "
    `)
  })

  test('results', async () => {
    expect((await cli.run(['job', 'results', JOB_ID])).stdout).toMatchInlineSnapshot(`
      "unit      n         square
      0         0         0
      1         1         E_TASK_THREW odd one out
      2         2         4
      "
    `)
  })

  test('have no colour where it is not wanted, and colour where it is', async () => {
    const stdout = () => capture({ colours: 24, isTerminal: true })
    const coloured = stdout()
    await cli.run(['jobs'], { stdout: coloured.sink })
    expect(coloured.text()).toContain('\u001b[')
    const plain = stdout()
    await cli.run(['jobs', '--no-color'], { stdout: plain.sink })
    expect(plain.text()).not.toContain('\u001b[')
    const env = { TALKOOT_HOME: join(cli.folder, 'home'), NO_COLOR: '1' }
    const quiet = stdout()
    await cli.run(['jobs'], { stdout: quiet.sink, env })
    expect(quiet.text()).not.toContain('\u001b[')
  })
})

describe('for programs', () => {
  test.each([
    ['status', ['status'], statusSchema],
    ['peers', ['peers'], peersSchema],
    ['tokens', ['token', 'list'], tokensSchema],
    ['jobs', ['jobs'], jobsSchema],
    ['a job', ['job', 'show', JOB_ID], jobInfoSchema],
    ['a submission', ['submit', 'square.task.ts', '-p', 'n=1,2'], jobInfoSchema],
  ])('%s as one JSON document of its schema', async (_what, argv, schema) => {
    taskFile()
    const { code, stdout } = await cli.run([...argv, '--json'])
    expect(code).toBe(0)
    schema.parse(JSON.parse(stdout))
  })

  test('an error as JSON', async () => {
    const { code, stdout, stderr } = await cli.run(['job', 'show', 'zzz', '--json'])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(errorBodySchema.parse(JSON.parse(stderr)).error.code).toBe('E_NOT_FOUND')
    const mistyped = await cli.run(['jbos', '--json'])
    expect(errorBodySchema.parse(JSON.parse(mistyped.stderr)).error.code).toBe('E_USAGE')
  })

  test('results as a document, as lines, as CSV, as values, as files', async () => {
    const document = JSON.parse((await cli.run(['job', 'results', JOB_ID, '--json'])).stdout)
    expect(document).toMatchObject({ schema: 'talkoot.results/1', results: [{ unit: 0 }, { unit: 1 }, { unit: 2 }] })
    const lines = (await cli.run(['job', 'results', JOB_ID, '-o', 'jsonl'])).stdout.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line).schema)).toEqual(Array(3).fill('talkoot.result/1'))
    const csv = (await cli.run(['job', 'results', JOB_ID, '--format', 'csv'])).stdout
    expect(csv.split('\n')[0]).toBe('unit,n,square,status,error,attempts')
    expect((await cli.run(['job', 'results', JOB_ID, '-o', 'quiet'])).stdout).toBe('{"square":0}\nnull\n{"square":4}\n')
    await cli.run(['job', 'results', JOB_ID, '--out', 'results.csv'])
    expect(readFileSync(join(cli.folder, 'results.csv'), 'utf8')).toBe(csv)
    expect((await cli.run(['job', 'results', JOB_ID, '--out', 'results.xls'])).code).toBe(2)
  })

  test('only failed units', async () => {
    const { stdout } = await cli.run(['job', 'results', JOB_ID, '--failed', '-o', 'jsonl'])
    expect(JSON.parse(stdout)).toMatchObject({ unit: 1, error: { code: 'E_TASK_THREW', message: 'odd one out' } })
  })

  test('ids alone', async () => {
    expect((await cli.run(['jobs', '-o', 'quiet'])).stdout).toBe(`${JOB_ID}\n`)
    expect((await cli.run(['token', 'create', '-o', 'quiet'])).stdout).toBe('talkoot1:secret\n')
  })

  test('data on stdout, narration on stderr', async () => {
    cli.services.info = jobInfo({ failed: 0, accepted: 2, units: 2 })
    cli.services.rows = [accepted(0), accepted(1)]
    const { code, stdout, stderr } = await cli.run(['run', taskFile(), '-p', 'n=0:2', '-o', 'jsonl'])
    expect(code).toBe(0)
    expect(stdout.trimEnd().split('\n')).toHaveLength(2)
    expect(stderr).toMatch(/job \w{8} · 2 units · 2 peers · 4 cores · unverified/)
    expect(stderr).toMatch(/████ 100% {2}done 2 running 0 verifying 0 failed 0 {2}done/)
  })
})

describe('revoking a token', () => {
  test('with its machines asks at a terminal, and wants --yes elsewhere', async () => {
    const refused = await cli.run(['token', 'revoke', 'tok1', '--members'])
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('say --yes') })
    expect((await cli.run(['token', 'revoke', 'tok1', '--members', '--yes'])).code).toBe(0)
    const asked: string[] = []
    const answer = (reply: string) => ({
      ask: async (question: string) => {
        asked.push(question)
        return reply
      },
    })
    expect((await cli.run(['token', 'revoke', 'tok1', '--members'], answer('y'))).code).toBe(0)
    expect((await cli.run(['token', 'revoke', 'tok1', '--members'], answer(''))).code).toBe(2)
    expect(asked).toEqual(Array(2).fill('Remove 1 machine from the mesh for good? [y/N] '))
    expect((await cli.run(['token', 'revoke', 'tok1'])).code).toBe(0)
  })
})

describe('completion', () => {
  test.each(['bash', 'zsh', 'fish'])('%s takes its script, and not a broken one', async (shell) => {
    const { stdout } = await cli.run(['completion', shell])
    expect(stdout).toContain('token')
    if (!hasProgram(shell)) return console.warn(`not run: ${shell} is not installed`)
    const parse = (script: string) => {
      const file = join(cli.folder, `script.${shell}`)
      writeFileSync(file, script)
      execFileSync(shell, ['-n', file], { stdio: 'pipe' })
    }
    parse(stdout)
    expect(() => parse(`${stdout}\nif true`)).toThrow('Command failed')
  })

  test('bash completes verbs, verbs below verbs, and options', async () => {
    const { stdout } = await cli.run(['completion', 'bash'])
    const complete = (...words: string[]) => {
      const line = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _talkoot; echo "\${COMPREPLY[*]}"`
      return execFileSync('bash', ['-c', `${stdout}\n${line}`], { encoding: 'utf8' }).trim()
    }
    expect(complete('talkoot', 'jo')).toBe('jobs job')
    expect(complete('talkoot', 'job', 'c')).toBe('cancel')
    expect(complete('talkoot', 'job', 'results', 'abc', '--f')).toBe('--follow --failed --format')
  })
})

async function* untilAborted(signal: AbortSignal): AsyncGenerator<never> {
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

function hasProgram(name: string): boolean {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
