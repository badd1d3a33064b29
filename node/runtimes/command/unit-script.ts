/**
 * What the shell of a sandbox, its process 1, reads from its node: at first what it does after each unit, then a line for each.
 * It tells `ready`, the exit code of a unit once nothing of it runs any more, then `ready` again; or it ends, and the sandbox with it.
 */

import { quoted } from '../program/collect.ts'
import type { Inputs, OwnInputs } from '../program/job-files.ts'
import { CHECKPOINT_FILE, INPUTS_FOLDER, TMP_FOLDER, UNIT_FOLDER } from '../program/surroundings.ts'

/**
 * Where the pipes of a unit are for the shell, and files it is given. Read-only, as all of /dev is. Opened by their names, they do
 * not keep what one unit set of them for the next; what a unit writes to `files` it could have left as files.
 */
export const PIPES_FOLDER = '/dev/unit'
/** In that folder. */
export const PIPES = { stdout: 'stdout', stderr: 'stderr', files: 'files' } as const
export const GIVEN = { stdin: 'stdin', state: 'state' } as const
/** The descriptor of a unit's `files`. */
export const FILES_FD = 3
export const READY = 'ready'

/** What a unit writes to, beside its own folder. */
const SCRATCH = [TMP_FOLDER, '/dev/shm']

/**
 * The folders are as they were given, or are made so. A sandbox in which anything else was left is not used again: processes, which
 * may have changed anything, folders that cannot be emptied or hold one that was brought, connections that keep a port.
 */
export function shellScript(inputs: Pick<Inputs, 'at' | 'names'> | null): string {
  const { at, names } = inputs ?? { at: INPUTS_FOLDER, names: [] }
  const everything = (folder: string): string => `${folder}/* ${folder}/.[!.]* ${folder}/..?*`
  const links = names.map((name) => quoted(`${at}/${name}`)).join(' ')
  return `
is_own() { [ -r "$1" ] && [ -w "$1" ] && [ -x "$1" ]; }
is_there() { [ -e "$1" ] || [ -L "$1" ]; }
is_fresh() {
  is_own ${UNIT_FOLDER} || return 1
  given=0
  for path in ${everything(UNIT_FOLDER)}; do
    is_there "$path" || continue
    [ -L "$path" ] && [ "$path" -ef "${at}/\${path##*/}" ] || return 1
    given=$((given + 1))
  done
  [ $given = ${names.length} ] || return 1
  for folder in ${SCRATCH.join(' ')}; do
    is_own $folder || return 1
    for path in ${everything('$folder')}; do is_there "$path" && return 1; done
  done
  return 0
}
refresh() {
  /usr/bin/find ${UNIT_FOLDER} ${SCRATCH.join(' ')} -xdev -mindepth 1 -delete
  ${links === '' ? '' : `/bin/ln -s -- ${links} ${UNIT_FOLDER}`}
  is_fresh
}
is_quiet() {
  while read -r kind _ open _ _ _ waiting _; do
    [ "$kind" = TCP: ] || continue
    [ "$open $waiting" = '0 0' ]
    return
  done </proc/net/sockstat
}
over() {
  kill -9 -1 2>/dev/null && left=1
  echo $1
  [ -z "$left" ] && is_quiet && { is_fresh || refresh; } 2>/dev/null || exit
  echo ${READY}
}
echo ${READY}
`
}

export type UnitLine = {
  /** The program and its arguments, with what sets its variables before them. */
  argv: readonly string[]
  /** Which of them there are. */
  stdin: boolean
  /** Files of its point, in its folder before those of all units; it is put back when it has ended. */
  own: Pick<OwnInputs, 'at' | 'names'> | null
  state: boolean
  files: boolean
}

export function unitLine({ argv, own, stdin, state, files }: UnitLine): string {
  const within = (name: string): string => `${PIPES_FOLDER}/${name}`
  const resumed = state ? `/bin/cat ${within(GIVEN.state)} >${CHECKPOINT_FILE}; ` : ''
  const links = own?.names.map((name) => quoted(`${own.at}/${name}`)).join(' ')
  const given = links === undefined ? '' : `/bin/ln -sfn -- ${links} ${UNIT_FOLDER}/; `
  const input = stdin ? within(GIVEN.stdin) : '/dev/null'
  const outputs = `>${within(PIPES.stdout)} 2>${within(PIPES.stderr)}`
  const collected = files ? ` ${FILES_FD}>${within(PIPES.files)}` : ''
  return `${given}${resumed}(exec ${argv.map(quoted).join(' ')}) <${input} ${outputs}${collected}; over $?\n`
}
