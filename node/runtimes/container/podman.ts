/**
 * How podman is run: with a store, settings and locks of its own, never the user's, and in namespaces of processes and mounts
 * that end with the process that asked. So whatever podman starts (conmon, the container), mounts and notes down ends with
 * it too, however this node ends.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export type PodmanTools = {
  /** Of a node of root's. Any other is root in a user namespace where its own user is all there is. */
  asRoot: boolean
  podman: string
  setpriv: string
  unshare: string
  /** The file with the filter of system calls. */
  filter: string
  /** The OCI runtime, by its name in podman's settings and where it is. */
  runtime: { name: string; path: string }
}

/** A folder of podman's own, with its settings. */
export type PodmanHome = { folder: string; env: Readonly<Record<string, string>> }

/** Where podman keeps what it knows, in memory of its namespace. A long path: its sockets would not fit (108 characters). */
const PRIVATE = '/run'
const PRIVATE_MIB = 64

/** How layers are stored, and where. */
export type Layers = { driver: string; folder: string }
/** Containers are run from plain folders and have none. */
const NO_LAYERS: Layers = { driver: 'vfs', folder: `${PRIVATE}/root` }

export async function makeHome(
  folder: string,
  { asRoot, runtime }: PodmanTools,
  layers = NO_LAYERS,
): Promise<PodmanHome> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const settings = join(folder, 'containers.conf')
  const storage = join(folder, 'storage.conf')
  const registries = join(folder, 'registries.conf')
  // Where podman looks for whose images it takes, before it looks in /etc: whoever may send one is known already.
  const policy = join(folder, '.config', 'containers', 'policy.json')
  const text = JSON.stringify
  await writeFile(
    settings,
    [
      '[engine]',
      'cgroup_manager = "cgroupfs"',
      'events_logger = "none"',
      // Those in shared memory would be shared with every other podman of the machine.
      'lock_type = "file"',
      `runtime = ${text(runtime.name)}`,
      `tmp_dir = ${text(`${PRIVATE}/tmp`)}`,
      '[engine.runtimes]',
      `${runtime.name} = [${text(runtime.path)}]`,
      '',
    ].join('\n'),
  )
  const places = [`graphroot = ${text(layers.folder)}`, `runroot = ${text(`${PRIVATE}/run`)}`]
  // Where there is one user only, all files are that user's.
  const oneUser = asRoot ? [] : [`[storage.options.${layers.driver}]`, 'ignore_chown_errors = "true"']
  await writeFile(storage, ['[storage]', `driver = ${text(layers.driver)}`, ...places, ...oneUser, ''].join('\n'))
  await writeFile(registries, '')
  await mkdir(dirname(policy), { recursive: true })
  await writeFile(policy, text({ default: [{ type: 'insecureAcceptAnything' }] }))
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: folder,
    XDG_RUNTIME_DIR: PRIVATE,
    TMPDIR: folder,
    CONTAINERS_CONF: settings,
    CONTAINERS_STORAGE_CONF: storage,
    CONTAINERS_REGISTRIES_CONF: registries,
  }
  return { folder, env }
}

/** The namespaces, seen from this node: what podman runs is in the first, the processes of a container in the second. */
export const CONTAINER_DEPTH = 2

/** A command line that ends with this process, and everything it starts with it. No network: an image may name addresses of its layers. */
export const confinedLine = ({ asRoot, setpriv, unshare }: PodmanTools, line: readonly string[]): string[] => [
  ...[setpriv, '--pdeathsig', 'KILL', unshare, ...(asRoot ? [] : ['--user', '--map-root-user'])],
  ...['--pid', '--net', '--fork', '--kill-child', '--mount', '--mount-proc'],
  ...['/bin/sh', '-c', `set -e; ${PRIVATE_MOUNT}; ${asRoot ? '' : ONE_USER_MOUNTS} exec "$@"`, 'sh'],
  ...line,
]

const PRIVATE_MOUNT = `mount -t tmpfs -o mode=0700,size=${PRIVATE_MIB}m tmpfs ${PRIVATE}`

/**
 * Control groups that are not its own are no use to crun, and of some versions it knows nothing. Containers take their devices from
 * here, and zeros could be mapped as shared memory that nobody counts.
 */
const ONE_USER_MOUNTS = 'mount -t tmpfs -o ro tmpfs /sys/fs/cgroup; mount --bind /dev/full /dev/zero;'
