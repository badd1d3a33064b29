/**
 * The folder of a unit in an image: memory of the namespace podman runs in, so that files are collected from it when the container is
 * gone with all its processes, by tools of this machine, as an image need have none. They are as confined as the unit was: in a root
 * where `/usr` and that folder are all there is, as the unit's user, without rights. No link of the unit's leads them out.
 */

import { LIMITS } from '../../../protocol/limits.ts'
import { FORGET_GIVEN, packScript, quoted } from '../program/collect.ts'
import { INPUTS_FOLDER, type Room, SYSTEM, UNIT_FOLDER } from '../program/surroundings.ts'

/** Where it is in podman's namespace. */
export const FOLDER_OUTSIDE = '/run/unit'
const TOOLS = '/run/tools'

export type UnitFolder = {
  /** Numbers of the user and the group the unit runs as. */
  user: number
  /** Names of its files, each followed by a zero, in this file. */
  given: string
  setpriv: string
  /** Globs of what it leaves; none: nothing is collected. */
  outputs: readonly string[]
  /** The descriptor what is collected goes to. */
  out: number
}

/** Podman's own exit code when there is no container: podman-run(1). */
export const NO_CONTAINER = 125

/** Starts podman between making the folder and collecting from it. */
export function inUnitFolder(
  podman: readonly string[],
  { user, given, setpriv, outputs, out }: UnitFolder,
  room: Room,
): string[] {
  const script = `
set -e
trap 'exit ${NO_CONTAINER}' EXIT
mkdir ${FOLDER_OUTSIDE}
mount -t tmpfs -o mode=1777,size=${LIMITS.COMMAND_SCRATCH_MIB}m,nosuid,nodev tmpfs ${FOLDER_OUTSIDE}
cd ${FOLDER_OUTSIDE}
[ ! -s ${quoted(given)} ] || xargs -0 sh -c 'ln -s -- "$@" ./' sh < ${quoted(given)}
`
  if (outputs.length === 0) return ['/bin/sh', '-c', `${script} trap - EXIT; exec "$@"`, 'sh', ...podman]
  const pack = `cd ${UNIT_FOLDER} || exit; ${packScript(outputs)}`
  const collected = `${script} ${MAKE_TOOLS}
trap - EXIT
set +e
(exec "$@" ${out}>&-)
code=$?
[ $code = 0 ] || exit $code
ulimit -d ${(LIMITS.SANDBOX_BASE_MIB + room.memoryMiB) * 1024}
${FORGET_GIVEN}
exec ${setpriv} --no-new-privs chroot --userspec=${user}:${user} --groups= ${TOOLS} /bin/sh -c ${quoted(pack)} >&${out} ${out}>&-
`
  return ['/bin/sh', '-c', collected, 'sh', ...podman]
}

const MAKE_TOOLS = `
mkdir -p ${TOOLS}${UNIT_FOLDER}
mount --bind ${FOLDER_OUTSIDE} ${TOOLS}${UNIT_FOLDER}
for path in ${SYSTEM.join(' ')}; do
  if [ -L $path ]; then ln -s "$(readlink $path)" ${TOOLS}$path
  elif [ -d $path ]; then mkdir ${TOOLS}$path && mount -o bind,ro $path ${TOOLS}$path
  fi
done`

/** Names of what a unit is given, as the file of them is. */
export const givenText = (names: readonly string[]): string =>
  names.map((name) => `${INPUTS_FOLDER}/${name}\0`).join('')
