/** How every example finds its mesh: the node of this machine, or with `--local N` nodes inside this process. */

import { parseArgs } from 'node:util'
import { type LocalOptions, Mesh, TalkootError } from 'talkoot'

/** Runs the example until it ends or is interrupted, and says what to do next when there is no node. */
export async function withMesh(
  example: (mesh: Mesh, signal: AbortSignal) => Promise<void>,
  needs: LocalOptions = {},
): Promise<void> {
  const { values } = parseArgs({ options: { local: { type: 'string' } } })
  const interrupt = new AbortController()
  process.once('SIGINT', () => interrupt.abort())
  try {
    const local = values.local === undefined ? undefined : { ...needs, nodes: Number(values.local) }
    await using mesh = local === undefined ? await Mesh.connect() : await Mesh.local(local)
    await example(mesh, interrupt.signal)
  } catch (error) {
    if (interrupt.signal.aborted) {
      process.exitCode = 130
      return
    }
    if (!(error instanceof TalkootError)) throw error
    console.error(`${error.code}: ${error.message}\n${error.hint}`)
    if (error.code === 'E_NOT_RUNNING') console.error('or try it without one: add --local 2')
    process.exitCode = 1
  }
}
