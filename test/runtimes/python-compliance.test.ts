/** Python does what every runtime does, as a function and as a script that prints. */

import { createPythonRuntime } from '../../node/runtimes/python/runtime.ts'
import { type ComplianceSubject, type ComplianceTasks, describeRuntime } from './compliance.ts'
import { keptSnapshot, script } from './python-scripts.ts'

const keptIn = keptSnapshot()

const whereOne = (does: string): string => script(`def unit(x):\n    if x == 1:\n        ${does}\n    return x + 1\n`)

const tasks: ComplianceTasks = {
  value: whereOne('pass'),
  fails: whereOne('raise ValueError("boo")'),
  loops: whereOne('while True: pass'),
  eats: whereOne('kept = [bytearray(1_000_000) for _ in range(1_000_000)]'),
  prints: whereOne('return "a" * 10_000_000'),
  logs: whereOne('print("step", x)'),
  chance: script('import random, os\ndef unit(x):\n    return [random.random(), os.urandom(4).hex()]\n'),
  saves: script(`from talkoot import checkpoint, resumed
def unit(x):
    if resumed is not None:
        return resumed["x"] + 1
    checkpoint({"x": x})
    while x == 1:
        pass
    return x + 1
`),
  refused: script('def unit('),
}

const python: ComplianceSubject = {
  make: (scratchDir) => createPythonRuntime({ scratchDir, keptIn }),
  tells: { kind: 'python', confinement: 'os', deterministic: true },
  tasks,
  gives: (x) => String(x + 1),
  failure: { code: 'E_TASK_THREW', says: 'boo' },
}

describeRuntime('python', python)
