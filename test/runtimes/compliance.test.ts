/** Each runtime of this machine, under each confinement it has, does what every runtime does. */

import { createCommandRuntime } from '../../node/runtimes/command/runtime.ts'
import { createJsRuntime } from '../../node/runtimes/js/runtime.ts'
import type { Confinement } from '../../node/runtimes/runtime.ts'
import { createWasiRuntime, createWasmRuntime } from '../../node/runtimes/wasm/runtime.ts'
import { encodeProgram } from '../../protocol/command/program.ts'
import { encodeModuleTask, type ModuleTask } from '../../protocol/wasm/module-task.ts'
import { encodeWasiProgram } from '../../protocol/wasm/wasi-program.ts'
import { type ComplianceSubject, type ComplianceTasks, describeRuntime, SAVES } from './compliance.ts'
import { wasi, wasmOf } from './wat.ts'

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
  saves: `module.exports = ({ x }, { checkpoint, resumed }) => {
    if (resumed !== undefined) return resumed.x + 1
    checkpoint({ x })
    if (x === 1) for (;;);
    return x + 1
  }`,
  refused: 'module.exports = (',
}

const moduleTask = (text: string, how: Partial<ModuleTask> = {}): string => {
  const base64 = wasmOf(text).toString('base64')
  return encodeModuleTask({ v: 1, base64, export: 'unit', takes: ['x'], gives: 'number', ...how })
}

const unitWhereOne = (does: string, more = ''): string =>
  moduleTask(`(module ${more} (func (export "unit") (param $x f64) (result f64)
    (if (f64.eq (local.get $x) (f64.const 1)) (then ${does}))
    (f64.add (local.get $x) (f64.const 1))))`)

const FOREVER = '(loop $again (br $again))'
/** Gives up when there is no more. */
const EATS = `(loop $more (br_if $more (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0)))) unreachable`

const wasm: ComplianceSubject = {
  make: (scratchDir) => createWasmRuntime({ scratchDir }),
  tells: { kind: 'wasm', confinement: 'os', deterministic: true },
  tasks: {
    value: unitWhereOne(''),
    fails: unitWhereOne('unreachable'),
    loops: unitWhereOne(FOREVER),
    eats: unitWhereOne(EATS, '(memory (export "memory") 1)'),
    // A digit as JSON, or ten million bytes of it.
    prints: moduleTask(
      `(module (memory (export "memory") 200) (func (export "unit") (param $x i32) (result i64)
        (i32.store8 (i32.const 8) (i32.add (local.get $x) (i32.const 49)))
        (i64.or (i64.const 0x800000000)
          (select (i64.const 10000000) (i64.const 1) (i32.eq (local.get $x) (i32.const 1))))))`,
      { gives: 'json' },
    ),
    logs: unitWhereOne(
      '(call $log (i32.const 0) (i32.const 6))',
      '(import "talkoot" "log" (func $log (param i32 i32))) (memory (export "memory") 1) (data (i32.const 0) "step 1")',
    ),
    chance: moduleTask(
      `(module (import "talkoot" "random" (func $one (result f64))) (import "Math" "random" (func $other (result f64)))
        (func (export "unit") (result f64 f64) (call $one) (call $other)))`,
      { takes: [], gives: 'numbers' },
    ),
    saves: moduleTask(`(module
      (import "talkoot" "checkpoint" (func $save (param i32 i32)))
      (import "talkoot" "resumed" (func $resumed (param i32 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "unit") (param $x f64) (result f64)
        (if (i32.eqz (call $resumed (i32.const 0) (i32.const 8))) (then
          (f64.store (i32.const 0) (local.get $x))
          (call $save (i32.const 0) (i32.const 8))
          (if (f64.eq (local.get $x) (f64.const 1)) (then ${FOREVER}))))
        (f64.add (f64.load (i32.const 0)) (f64.const 1))))`),
    refused: '{"v":1}',
  },
  gives: (x) => String(x + 1),
  failure: { code: 'E_TASK_THREW', says: 'unreachable' },
}

const wasiTask = (text: string): string => {
  const base64 = wasmOf(text).toString('base64')
  return encodeWasiProgram({ v: 1, base64, args: ['{x}'], env: {}, stdin: null, inputs: null, outputs: [] })
}

/** Prints the number that follows its argument, a digit. */
const programWhereOne = (does: string): string =>
  wasiTask(
    wasi(
      `(local $digit i32) (drop (call $args_get (i32.const 16) (i32.const 64)))
      (local.set $digit (i32.load8_u (i32.load (i32.const 20))))
      (if (i32.eq (local.get $digit) (i32.const 49)) (then ${does}))
      (if (i32.eq (local.get $digit) (i32.const 57))
        (then (call $write (i32.const 1) (i32.const 288) (i32.const 2)))
        (else
          (i32.store8 (i32.const 128) (i32.add (local.get $digit) (i32.const 1)))
          (call $write (i32.const 1) (i32.const 128) (i32.const 1))))`,
      '(data (i32.const 256) "boo") (data (i32.const 272) "step 1\\n") (data (i32.const 288) "10")',
    ),
  )

/** Its descriptor is then at 16. */
const openSaved = ({ flags, rights }: { flags: number; rights: number }): string =>
  `(call $path_open (i32.const 3) (i32.const 0) (i32.const 256) (i32.const 22)
    (i32.const ${flags}) (i64.const ${rights}) (i64.const 0) (i32.const 0) (i32.const 16))`

const wasiPrograms: ComplianceSubject = {
  make: (scratchDir) => createWasiRuntime({ scratchDir }),
  tells: { kind: 'wasi', confinement: 'os', deterministic: true },
  tasks: {
    value: programWhereOne(''),
    fails: programWhereOne('(call $write (i32.const 2) (i32.const 256) (i32.const 3)) (call $proc_exit (i32.const 3))'),
    loops: programWhereOne(FOREVER),
    eats: programWhereOne(EATS),
    prints: programWhereOne('(loop $more (call $write (i32.const 1) (i32.const 0) (i32.const 65536)) (br $more))'),
    logs: programWhereOne('(call $write (i32.const 2) (i32.const 272) (i32.const 7))'),
    // As letters: what is written is text.
    chance: wasiTask(
      wasi(`(local $at i32) (drop (call $random_get (i32.const 64) (i32.const 8)))
        (loop $next
          (i32.store8 offset=64 (local.get $at)
            (i32.add (i32.const 97) (i32.and (i32.load8_u offset=64 (local.get $at)) (i32.const 15))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $at) (i32.const 8))))
        (call $write (i32.const 1) (i32.const 64) (i32.const 8))`),
    ),
    // The file has the digit.
    saves: wasiTask(
      wasi(
        `(if (i32.eqz ${openSaved({ flags: 0, rights: 2 })})
          (then
            (i32.store (i32.const 0) (i32.const 128)) (i32.store (i32.const 4) (i32.const 1))
            (drop (call $fd_read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8))))
          (else
            (drop (call $args_get (i32.const 16) (i32.const 64)))
            (i32.store8 (i32.const 128) (i32.load8_u (i32.load (i32.const 20))))
            (drop ${openSaved({ flags: 1, rights: 64 })})
            (call $write (i32.load (i32.const 16)) (i32.const 128) (i32.const 1))
            (drop (call $fd_close (i32.load (i32.const 16))))
            (if (i32.eq (i32.load8_u (i32.const 128)) (i32.const 49)) (then ${FOREVER}))))
        (i32.store8 (i32.const 128) (i32.add (i32.load8_u (i32.const 128)) (i32.const 1)))
        (call $write (i32.const 1) (i32.const 128) (i32.const 1))`,
        '(data (i32.const 256) "tmp/talkoot-checkpoint")',
      ),
    ),
    refused: '{"v":1}',
  },
  gives: (x) => `{"stdout":"${x + 1}"}`,
  failure: { code: 'E_EXIT', says: 'boo' },
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
    saves: shell(SAVES),
    refused: '{"v":1}',
  },
  gives: (x) => `{"stdout":"${x + 1}"}`,
  failure: { code: 'E_EXIT', says: 'boo' },
}

describeRuntime('js in bubblewrap', js('os'))
describeRuntime('js in deno alone', js('runtime'))
describeRuntime('wasm', wasm)
describeRuntime('wasi', wasiPrograms)
describeRuntime('command', command)
