/** Containers as a subject of the compliance suite. */

import { createContainerRuntime } from '../../node/runtimes/container/runtime.ts'
import { type ComplianceSubject, SAVES } from './compliance.ts'
import { imageShell, type TestImage } from './image.ts'

/** Of an image that could not be made: nothing runs in it. */
export const NO_IMAGE: TestImage = { ref: { digest: 'a'.repeat(52), bytes: 1 }, trees: new Map(), archive: '' }

export function containerSubject({ ref, trees }: TestImage): ComplianceSubject {
  const whereOne = (does: string): string => imageShell(ref, `if [ "$1" = 1 ]; then ${does}; fi; echo $(($1 + 1))`)
  return {
    make: (scratchDir) => createContainerRuntime({ scratchDir }),
    tells: { kind: 'container', confinement: 'os', deterministic: false },
    tasks: {
      value: whereOne(':'),
      fails: whereOne('echo boo >&2; exit 3'),
      loops: whereOne('while :; do :; done'),
      // Each holds what the kernel lets one process have.
      eats: whereOne(
        `for i in 1 2 3 4 5; do awk 'BEGIN {{ x = "0123456789abcdef"; while (length(x) < 3e7) x = x x; system("sleep 60") }}' & done; wait`,
      ),
      prints: whereOne('yes'),
      logs: whereOne('echo "step $1" >&2'),
      chance: imageShell(ref, 'od -An -N8 -tx1 /dev/urandom'),
      saves: imageShell(ref, SAVES),
      refused: '{"v":1}',
    },
    trees,
    soonMs: 6_000,
    gives: (x) => `{"stdout":"${x + 1}"}`,
    failure: { code: 'E_EXIT', says: 'boo' },
  }
}
