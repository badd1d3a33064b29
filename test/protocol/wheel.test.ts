import { describe, expect, it } from 'vitest'
import { COMPILED_TAG, checkWheels } from '../../protocol/python/wheel.ts'

const given = (name: string) => () => checkWheels(['data.csv', name])

describe('wheels', () => {
  it.each(['py3-none-any', 'py2.py3-none-any', 'py39-none-any', 'py314-none-any', 'cp314-none-any', COMPILED_TAG])(
    'of %s are taken',
    (tag) => {
      expect(given(`a_b-1.0-${tag}.whl`)).not.toThrow()
      expect(given(`a_b-1.0-1build-${tag}.whl`)).not.toThrow()
    },
  )

  it.each([
    ...['py2-none-any', 'py315-none-any', 'cp313-none-any', 'cp314-cp314-any', 'py3-none-linux_x86_64'],
    ...[
      'cp313-cp313-pyodide_2025_0_wasm32',
      'cp314-cp314-pyemscripten_2025_0_wasm32',
      'cp314-cp314t-pyemscripten_2026_0_wasm32',
    ],
  ])('of %s are not', (tag) => {
    expect(given(`a_b-1.0-${tag}.whl`)).toThrow(expect.objectContaining({ code: 'E_WHEEL' }))
  })

  it('are those right beside the script: others are data', () => {
    expect(given('wheels/a-1.0-cp310-cp310-linux_x86_64.whl')).not.toThrow()
    expect(given('a.whl')).toThrow(expect.objectContaining({ code: 'E_WHEEL' }))
  })
})
