/**
 * The folders of a unit in an image, its own and the one for what is temporary: memory of the namespace podman runs in. So a state to
 * go on from lies there before the container is, and files are collected when it is gone with all its processes, by tools of
 * this machine, as an image need have none. They are as confined as the unit was: in a root where `/usr` and its folder are
 * all there is, as the unit's user, without rights. No link of the unit's leads them out.
 */

import { LIMITS } from '../../../protocol/limits.ts'
import { FORGET_GIVEN, packScript, quoted } from '../program/collect.ts'
import type { OwnInputs } from '../program/job-files.ts'
import { CHECKPOINT_FILE, type Room, SYSTEM, TMP_FOLDER, UNIT_FOLDER } from '../program/surroundings.ts'

const FOLDER_OUTSIDE = '/run/unit'
const TMP_OUTSIDE = '/run/unit-tmp'
/** Where they are in podman's namespace, and in the container. */
export const FOLDERS = [
  { outside: FOLDER_OUTSIDE, inside: UNIT_FOLDER },
  { outside: TMP_OUTSIDE, inside: TMP_FOLDER },
]
const STATE_OUTSIDE = CHECKPOINT_FILE.replace(TMP_FOLDER, TMP_OUTSIDE)
const TOOLS = '/run/tools'

export type UnitFolders = {
  /** Number of the user and of the group the unit runs as; null: there is one user only. */
  user: number | null
  /** Names of its files, each followed by a zero, in this file. */
  given: string
  /** The file of what it goes on from; null: it begins. */
  state: string | null
  setpriv: string
  /** Globs of what it leaves; none: nothing is collected. */
  outputs: readonly string[]
  /** The descriptor what is collected goes to. */
  out: number
}

/** Podman's own exit code when there is no container: podman-run(1). */
export const NO_CONTAINER = 125

/** Starts podman between making the folders and collecting from the unit's own. */
export function inUnitFolders(
  podman: readonly string[],
  { user, given, state, setpriv, outputs, out }: UnitFolders,
  room: Room,
): string[] {
  const script = `
set -e
trap 'exit ${NO_CONTAINER}' EXIT
for folder in ${FOLDERS.map(({ outside }) => outside).join(' ')}; do
  mkdir $folder
  mount -t tmpfs -o mode=1777,size=${LIMITS.COMMAND_SCRATCH_MIB}m,nosuid,nodev tmpfs $folder
done
${state === null ? '' : `cp ${quoted(state)} ${STATE_OUTSIDE}`}
${state === null || user === null ? '' : `chown ${user}:${user} ${STATE_OUTSIDE}`}
cd ${FOLDER_OUTSIDE}
[ ! -s ${quoted(given)} ] || xargs -0 sh -c 'ln -s -- "$@" ./' sh < ${quoted(given)}
`
  if (outputs.length === 0) return ['/bin/sh', '-c', `${script} trap - EXIT; exec "$@"`, 'sh', ...podman]
  const become = user === null ? '' : `--reuid=${user} --regid=${user} --clear-groups`
  const pack = `cd ${UNIT_FOLDER} || exit; ${packScript(outputs)}`
  const collected = `${script} ${MAKE_TOOLS}
trap - EXIT
set +e
(exec "$@" ${out}>&-)
code=$?
[ $code = 0 ] || exit $code
ulimit -d ${(LIMITS.SANDBOX_BASE_MIB + room.memoryMiB) * 1024}
${FORGET_GIVEN}
exec chroot ${TOOLS} ${setpriv} ${become} ${NO_RIGHTS} /bin/sh -c ${quoted(pack)} >&${out} ${out}>&-
`
  return ['/bin/sh', '-c', collected, 'sh', ...podman]
}

const NO_RIGHTS = '--no-new-privs --inh-caps=-all --bounding-set=-all'

const MAKE_TOOLS = `
mkdir -p ${TOOLS}${UNIT_FOLDER}
mount --bind ${FOLDER_OUTSIDE} ${TOOLS}${UNIT_FOLDER}
for path in ${SYSTEM.join(' ')}; do
  if [ -L $path ]; then ln -s "$(readlink $path)" ${TOOLS}$path
  elif [ -d $path ]; then mkdir ${TOOLS}$path && mount -o bind,ro $path ${TOOLS}$path
  fi
done`

/** Names of what a unit is given, as the file of them is. Of two with one name it is the last. */
export const givenText = (given: readonly Pick<OwnInputs, 'at' | 'names'>[]): string => {
  const byName = new Map(given.flatMap(({ at, names }) => names.map((name) => [name, `${at}/${name}\0`])))
  return [...byName.values()].join('')
}
