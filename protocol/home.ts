/** Where a node keeps its files: the one rule, for the node, the CLI and the SDK alike. */

import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'

export type StatePaths = {
  /** Folder of everything that must survive, private to the user. */
  readonly state: string
  /** The owner's settings. */
  readonly config: string
  /** URL and token of the running node. */
  readonly api: string
  readonly ledger: string
  /** Folder of task bundles and rows. */
  readonly blobs: string
  /** Folder of the files that jobs bring. */
  readonly trees: string
  /** Files that units of own jobs left. */
  readonly unitFiles: string
  /** What units of own jobs had saved when the node stopped. */
  readonly checkpoints: string
  readonly log: string
}

/**
 * With TALKOOT_HOME set, everything is in that folder. Else the XDG base directories: XDG_STATE_HOME and
 * XDG_CONFIG_HOME, by default ~/.local/state and ~/.config, each with a folder `talkoot`. As the XDG specification asks, a
 * relative path in an XDG variable is ignored.
 */
export function statePaths(env: Readonly<Record<string, string | undefined>> = process.env): StatePaths {
  const home = env.TALKOOT_HOME
  if (home) {
    const folder = resolve(home)
    return pathsIn(folder, folder)
  }
  const base = (variable: string | undefined, ...otherwise: string[]): string =>
    join(variable && isAbsolute(variable) ? variable : join(env.HOME || homedir(), ...otherwise), 'talkoot')
  return pathsIn(base(env.XDG_STATE_HOME, '.local', 'state'), base(env.XDG_CONFIG_HOME, '.config'))
}

const pathsIn = (state: string, config: string): StatePaths => ({
  state,
  config: join(config, 'config.json'),
  api: join(state, 'api.json'),
  ledger: join(state, 'ledger.sqlite'),
  blobs: join(state, 'blobs'),
  trees: join(state, 'trees'),
  unitFiles: join(state, 'unit-files'),
  checkpoints: join(state, 'checkpoints'),
  log: join(state, 'node.log'),
})
