/** A node altered so that its sandbox does not tell the truth, or not twice the same, in one of several ways. `NAME TOKEN KIND [FOLDER]` */

import { once } from 'node:events'
import { mkdirSync, readdirSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import { pino } from 'pino'
import { settingsSchema } from '../../node/config.ts'
import { startNode } from '../../node/daemon.ts'
import { createJsRuntime } from '../../node/runtimes/js/runtime.ts'
import type { Runtime, RuntimeInit } from '../../node/runtimes/runtime.ts'
import { statePaths } from '../../protocol/home.ts'
import type { Attempt } from '../../protocol/work.ts'
import { alterOutbox, answerOnlyTheFirst, OUTBOX_KINDS } from './altered-outbox.ts'

/** `turn`: how many results it gave before. Null: it never answers. */
type Kind = (attempt: Attempt & { ok: true }, turn: number) => string | null

const RIGHT_FIRST = 200
let cached: string | null = null

/** A number from 0 to 1 that depends on the unit alone: those who plot agree on it without a word. */
const mixed = (unit: number): number => ((Math.imul(unit ^ 0x5bd1e995, 0x85ebca6b) ^ (unit << 7)) >>> 0) / 2 ** 32

const honestly: Kind = ({ value }) => value

const KINDS: Record<string, Kind> = {
  'random liar': ({ value }) => (Math.random() < 0.3 ? String(Math.random()) : value),
  'now and then': ({ value }) => (Math.random() < 0.3 ? '666' : value),
  'always liar': () => '666',
  'earn, then cheat': ({ value }, turn) => (turn < RIGHT_FIRST ? value : '666'),
  lazy: ({ value }) => {
    cached ??= value
    return cached
  },
  'selective by unit': ({ unit, value }) => (unit % 10 === 3 ? '666' : value),
  equivocator: (_, turn) => String(-turn),
  colluder: ({ unit, value }) => (mixed(unit) < 0.3 ? '666' : value),
  // Where another of them has the unit as well, as they tell one another in a folder they share.
  'in a majority': ({ unit, value }) => {
    const known = readdirSync(joinPath(folder, `${unit}`))
    if (!known.includes('lie') && !known.includes('truth')) mark(unit, known.length > 1 ? 'lie' : 'truth')
    return readdirSync(joinPath(folder, `${unit}`)).includes('lie') ? '666' : value
  },
  'two-faced': honestly,
  // No liar: as a sum whose order hangs on threads, it differs in the last digits of one field.
  'does not repeat': ({ value }) =>
    JSON.stringify({ energy: [1, 2, 3, Number(value) + Math.random() * 1e-6], steps: 7 }),
  'slow poison': ({ value }, turn) => (turn < RIGHT_FIRST ? value : null),
}

/** Said in the folder of the plot. */
function mark(unit: number, word: string): void {
  mkdirSync(joinPath(folder, `${unit}`, word), { recursive: true })
}

function alteredRuntime(init: RuntimeInit, kind: Kind): Runtime {
  const honest = createJsRuntime(init)
  let turn = 0
  return {
    probe: (signal) => honest.probe(signal),
    stop: () => honest.stop(),
    open(job) {
      const sandbox = honest.open(job)
      return {
        agree: (a, b, signal) => sandbox.agree(a, b, signal),
        close: () => sandbox.close(),
        warm: (signal) => sandbox.warm(signal),
        async *run(units, signal) {
          if (kindName === 'in a majority') for (const { unit } of units) mark(unit, name)
          for await (const attempts of sandbox.run(units, signal)) {
            const told: Attempt[] = []
            for (const attempt of attempts) {
              const value = attempt.ok ? kind(attempt, turn++) : null
              if (attempt.ok && value === null) {
                if (!signal.aborted) await once(signal, 'abort')
                return
              }
              told.push(attempt.ok && value !== null ? { ...attempt, value } : attempt)
            }
            yield told
          }
        },
      }
    },
  }
}

const [name = 'altered', join, kindName = '', folder = ''] = process.argv.slice(2)
const kind = kindName in OUTBOX_KINDS ? honestly : KINDS[kindName]
const self = Promise.withResolvers<string>()
if (kindName in OUTBOX_KINDS) alterOutbox(kindName, self.promise)
if (kindName === 'two-faced') answerOnlyTheFirst()
if (kind === undefined) throw new RangeError(`no kind ${kindName}`)
const node = await startNode({
  paths: statePaths(process.env),
  settings: settingsSchema.parse({ name, cpus: 1, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false, containers: false }),
  join,
  log: pino({ level: 'silent' }),
  openRuntime: (init) => alteredRuntime(init, kind),
})
self.resolve(node.services.status().peer)
await node.stopped
