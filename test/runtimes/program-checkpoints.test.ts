/** The file in which a program saves its state: read while it runs and before it is stopped, and nothing else in its place. */

import { expect } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { attemptsOf, DEADLINE_MS, inputs } from './attempts.ts'
import { eachWay } from './program-ways.ts'

eachWay(({ runs, open }) => {
  /** What a unit saved by the time it was stopped: when it had said `enough`, or saved `last`. */
  async function savedBy(lines: string): Promise<string[]> {
    const saved: string[] = []
    const stop = new AbortController()
    const sandbox = open(
      { argv: ['sh', '-c', `cd /tmp; ${lines}; sleep 60`] },
      {
        onCheckpoint: (_, state) => {
          saved.push(Buffer.from(state).toString())
          if (saved.at(-1) === 'last') stop.abort()
        },
        onOutput: (_, __, bytes) => {
          if (Buffer.from(bytes).includes('enough')) stop.abort()
        },
      },
    )
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(DEADLINE_MS)])
    expect(await attemptsOf(sandbox.run(inputs([null]), signal))).toEqual([])
    expect(stop.signal.aborted).toBe(true)
    await sandbox.close()
    return saved
  }

  runs('what was saved a moment before the unit is stopped is not lost', async () => {
    expect(await savedBy('printf a >talkoot-checkpoint; echo enough')).toEqual(['a'])
  })

  runs('each state is told once', async () => {
    const saved = await savedBy('printf a >talkoot-checkpoint; sleep 6; printf last >new; mv new "$TALKOOT_CHECKPOINT"')
    expect(saved).toEqual(['a', 'last'])
  })

  runs('a link, a pipe, a folder, nothing, or too much in its place is no state', async () => {
    const kinds = [
      'ln -s /etc/passwd talkoot-checkpoint',
      'mkfifo talkoot-checkpoint',
      'mkdir talkoot-checkpoint',
      ': >talkoot-checkpoint',
      `head -c ${LIMITS.UNIT_CHECKPOINT_MAX_BYTES + 1} /dev/zero >talkoot-checkpoint`,
    ]
    const looks = kinds.map((kind) => `${kind}; sleep 1.5; rm -r talkoot-checkpoint`)
    expect(await savedBy(`${looks.join('; ')}; printf last >new; mv new talkoot-checkpoint`)).toEqual(['last'])
  })

  runs(
    'a unit that goes on finds the file, may replace it, and has nothing else more than one that begins',
    async () => {
      const lines = `cat "$TALKOOT_CHECKPOINT"; rm -f "$TALKOOT_CHECKPOINT"; ls /proc/self/fd | wc -l; ls /tmp /unit | wc -l
      touch "$TALKOOT_CHECKPOINT" && echo written`
      const sandbox = open({ argv: ['sh', '-c', lines] })
      const resumed = Buffer.from('half\n')
      const units = [
        { unit: 0, params: 'null', resumed },
        { unit: 1, params: 'null' },
      ]
      const attempts = await attemptsOf(sandbox.run(units, AbortSignal.timeout(DEADLINE_MS)))
      const [on, anew] = attempts.map((end) => end.ok && JSON.parse(end.value).stdout)
      expect(anew).toMatch(/\nwritten$/)
      expect(on).toBe(`half\n${anew}`)
      await sandbox.close()
    },
  )

  runs('what a unit goes on from is not sent back, nor as much of it as is laid down', async () => {
    const saved: string[] = []
    const onCheckpoint = (_: number, state: Uint8Array): void => void saved.push(String(state))
    const sandbox = open(
      { argv: ['sh', '-c', 'sleep 1.5; printf ha >"$TALKOOT_CHECKPOINT"; sleep 1.5'] },
      { onCheckpoint },
    )
    const units = [{ unit: 0, params: 'null', resumed: Buffer.from('half') }]
    expect(await attemptsOf(sandbox.run(units, AbortSignal.timeout(DEADLINE_MS)))).toMatchObject([{ ok: true }])
    expect(saved).toEqual([])
    await sandbox.close()
  })
})
