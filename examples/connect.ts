/** How every example finds its mesh: the node of this machine, or with `--local N` nodes inside this process. */

import { parseArgs } from 'node:util'
import { Mesh, TalkootError } from 'talkoot'

/** Runs the example and ends the process with what to do next when there is no node. */
export async function withMesh(example: (mesh: Mesh) => Promise<void>): Promise<void> {
  const { values } = parseArgs({ options: { local: { type: 'string' } } })
  try {
    await using mesh =
      values.local === undefined ? await Mesh.connect() : await Mesh.local({ nodes: Number(values.local) })
    await example(mesh)
  } catch (error) {
    if (!(error instanceof TalkootError)) throw error
    console.error(`${error.code}: ${error.message}\n${error.hint}`)
    if (error.code === 'E_NOT_RUNNING') console.error('or try it without one: add --local 2')
    process.exitCode = 1
  }
}
