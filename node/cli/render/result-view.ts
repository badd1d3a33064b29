/** Results of units, as rows. */

import type { Json } from '../../../protocol/canonical.ts'
import { flatten } from '../../../sdk/flatten.ts'
import type { Result } from '../../../sdk/result.ts'
import type { RowView } from './view.ts'

export const resultView: RowView<Result> = {
  schema: 'talkoot.results/1',
  columns: (first) => {
    const { params, value } = flatten(first)
    return ['unit', ...Object.keys(params), ...(first.status === 'failed' ? ['error'] : Object.keys(value))]
  },
  cells(result) {
    const { params, value } = flatten(result)
    const end = result.status === 'failed' ? [`${result.error.code} ${result.error.message}`] : Object.values(value)
    return [result.unit, ...Object.values(params), ...end].map((cell) =>
      String(cell ?? '')
        .trimEnd()
        .replaceAll(/\s*\n/g, ' ⏎ '),
    )
  },
  json({ error, ...result }) {
    const said = error === undefined ? {} : { error: { code: error.code, message: error.message } }
    return { schema: 'talkoot.result/1', ...result, ...said }
  },
  quiet: (result) => JSON.stringify(result.status === 'accepted' ? result.value : (null satisfies Json)),
}
