/** Programs of this machine that confine others, found by running them: paths are never believed. */

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
const TOOL_TIMEOUT_MS = 10_000
const FOLDERS = ['/usr/bin', '/bin', '/usr/local/bin', '/run/current-system/sw/bin']

/** Where the tool is, if it works with these arguments. */
export async function findTool(
  name: string,
  args: string[],
  folders: readonly string[] = FOLDERS,
): Promise<string | undefined> {
  for (const folder of folders) {
    const path = `${folder}/${name}`
    const works = await run(path, args, { env: {}, timeout: TOOL_TIMEOUT_MS }).then(
      () => true,
      () => false,
    )
    if (works) return path
  }
  return undefined
}
