/** Each runtime of this machine, under each confinement it has, does what every runtime does. */

import { createCommandRuntime } from '../../node/runtimes/command/runtime.ts'
import { createJsRuntime } from '../../node/runtimes/js/runtime.ts'
import type { Confinement } from '../../node/runtimes/runtime.ts'
import { encodeProgram } from '../../protocol/command/program.ts'
import { type ComplianceSubject, type ComplianceTasks, describeRuntime } from './compliance.ts'

const js = (confinement: Confinement): ComplianceSubject => ({
  make: (scratchDir) => createJsRuntime({ scratchDir, confinement }),
  tells: { kind: 'js', confinement, deterministic: true },
  tasks: jsTasks,
  gives: (x) => String(x + 1),
  failure: { code: 'E_TASK_THREW', says: 'boo' },
})

const whereOne = (does: string): string =>
  `module.exports = ({ x }, { log }) => { if (x === 1) { ${does} } return x + 1 }`

const jsTasks: ComplianceTasks = {
  value: whereOne(''),
  fails: whereOne('throw new Error("boo")'),
  loops: whereOne('for (;;);'),
  eats: whereOne('const kept = []; for (;;) kept.push(new Array(100000).fill(1.5))'),
  prints: whereOne('return "a".repeat(1e7)'),
  logs: whereOne('log("step", x)'),
  chance: 'module.exports = (_, { random }) => [Math.random(), random()]',
  refused: 'module.exports = (',
}

/** A shell's lines, with x as `$1`. */
const shell = (lines: string): string =>
  encodeProgram({ v: 1, argv: ['sh', '-c', lines, 'sh', '{x}'], env: {}, stdin: null, inputs: null })

const shellWhereOne = (does: string): string => shell(`if [ "$1" = 1 ]; then ${does}; fi; echo $(($1 + 1))`)

const command: ComplianceSubject = {
  make: (scratchDir) => createCommandRuntime({ scratchDir }),
  tells: { kind: 'command', confinement: 'os', deterministic: false },
  tasks: {
    value: shellWhereOne(':'),
    fails: shellWhereOne('echo boo >&2; exit 3'),
    loops: shellWhereOne('while :; do :; done'),
    // A second process holds what the kernel would refuse the first.
    eats: shellWhereOne(`for i in 1 2 3 4 5; do perl -e '$x = "a" x 40000000; sleep 60' & done; wait`),
    prints: shellWhereOne('yes'),
    logs: shellWhereOne('echo "step $1" >&2'),
    chance: shell('od -An -N8 -tx1 /dev/urandom'),
    refused: '{"v":1}',
  },
  gives: (x) => `{"stdout":"${x + 1}"}`,
  failure: { code: 'E_EXIT', says: 'boo' },
}

describeRuntime('js in bubblewrap', js('os'))
describeRuntime('js in deno alone', js('runtime'))
describeRuntime('command', command)
