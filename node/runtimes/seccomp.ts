/**
 * A system call filter for bubblewrap: what a computation never needs and kernels were broken through. It is a list of
 * refusals, not of permissions, for V8 and Deno use many calls and every release others. Compiled to classic BPF by hand:
 * libseccomp has no well-kept binding without a native build.
 */

/**
 * Numbers of each refused call: x86-64 and arm64 (include/uapi/asm-generic/unistd.h); null where there is none. Among them
 * are those that hold memory which no process is seen to use: memfd, queues of messages, and what System V shares.
 */
const REFUSED: Record<string, readonly [x64: number, arm64: number | null]> = {
  acct: [163, 89],
  add_key: [248, 217],
  adjtimex: [159, 171],
  bpf: [321, 280],
  chroot: [161, 51],
  clock_adjtime: [305, 266],
  clock_settime: [227, 112],
  delete_module: [176, 106],
  finit_module: [313, 273],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fsopen: [430, 430],
  fspick: [433, 433],
  init_module: [175, 105],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  io_uring_setup: [425, 425],
  ioperm: [173, null],
  iopl: [172, null],
  kcmp: [312, 272],
  kexec_file_load: [320, 294],
  kexec_load: [246, 104],
  keyctl: [250, 219],
  mbind: [237, 235],
  memfd_create: [319, 279],
  memfd_secret: [447, 447],
  modify_ldt: [154, null],
  migrate_pages: [256, 238],
  mount: [165, 40],
  mount_setattr: [442, 442],
  move_mount: [429, 429],
  move_pages: [279, 239],
  mq_open: [240, 180],
  msgget: [68, 186],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  open_tree: [428, 428],
  perf_event_open: [298, 241],
  personality: [135, 92],
  pidfd_getfd: [438, 438],
  pivot_root: [155, 41],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  ptrace: [101, 117],
  quotactl: [179, 60],
  reboot: [169, 142],
  request_key: [249, 218],
  semget: [64, 190],
  set_mempolicy: [238, 237],
  setdomainname: [171, 162],
  sethostname: [170, 161],
  setns: [308, 268],
  settimeofday: [164, 170],
  shmget: [29, 194],
  swapoff: [168, 225],
  swapon: [167, 224],
  syslog: [103, 116],
  umount2: [166, 39],
  unshare: [272, 97],
  userfaultfd: [323, 282],
  vhangup: [153, 58],
  vmsplice: [278, 75],
}

/** By their names: no machine needs to know their numbers. */
export const refusedCalls: readonly string[] = Object.keys(REFUSED)

const MACHINES = {
  x64: { audit: 0xc000003e, column: 0, clone: 56, clone3: 435, ioctl: 16, mmap: 9, prctl: 157, socket: 41 },
  arm64: { audit: 0xc00000b7, column: 1, clone: 220, clone3: 435, ioctl: 29, mmap: 222, prctl: 167, socket: 198 },
} as const

/** AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: those that a network namespace confines; some others, as vsock, it does not. */
export const SOCKET_FAMILIES: readonly number[] = [1, 2, 10, 16]

/** `none`: no sockets at all. `confined`: those that reach nothing but the unit's own processes. */
type Sockets = 'none' | 'confined'

/** Offsets in `struct seccomp_data`; of an argument, its lower half. */
const NUMBER = 0
const ARCHITECTURE = 4
const argument = (index: number): number => 16 + 8 * index

const LOAD = 0x20
const AND = 0x54
const JUMP_EQUAL = 0x15
const JUMP_AT_LEAST = 0x35
const JUMP_ANY_BIT = 0x45
const RETURN = 0x06

const ALLOW = 0x7fff0000
const EPERM = 0x00050001
/** Makes the C library fall back to `clone`, whose flags a filter can read. */
const ENOSYS = 0x00050026
/** Calls of the x32 mode of x86-64, which would go by other numbers. */
const X32_BIT = 0x40000000
export const CLONE_NEWUSER = 0x10000000
const TIOCSTI = 0x5412
/** Requests about networks: standard output is a socket of the machine's, and would tell its addresses. */
const SIOC_FIRST = 0x8900
const SIOC_BEYOND = 0x8a00
/** Memory of no file that is shared, of flags of `mmap`: it stays when nobody is seen to use it. */
const MAP_KIND = 0x2f
const MAP_SHARED_ANONYMOUS = 0x21
/** By clearing it, a process would outlive a node that kills bubblewrap. */
const PR_SET_PDEATHSIG = 1

type Instruction = [code: number, ifTrue: number, ifFalse: number, k: number]

/** The filter for this machine as `--seccomp` wants it, or undefined where its numbers are not known. */
export function seccompFilter(arch: string, sockets: Sockets): Buffer | undefined {
  if (arch !== 'x64' && arch !== 'arm64') return undefined
  const { audit, column, clone, clone3, ioctl, mmap, prctl, socket } = MACHINES[arch]
  const numbers = Object.values(REFUSED).flatMap((row) => row[column] ?? [])
  const program: Instruction[] = [
    [LOAD, 0, 0, ARCHITECTURE],
    [JUMP_EQUAL, 1, 0, audit],
    [RETURN, 0, 0, EPERM],
    [LOAD, 0, 0, NUMBER],
    ...refuseIf(JUMP_AT_LEAST, X32_BIT, EPERM),
    ...numbers.flatMap((number) => refuseIf(JUMP_EQUAL, number, EPERM)),
    ...refuseIf(JUMP_EQUAL, clone3, ENOSYS),
    ...(sockets === 'none' ? refuseIf(JUMP_EQUAL, socket, EPERM) : allowFamilies(socket)),
    ...judge(ioctl, argument(1), [...refuseIf(JUMP_EQUAL, TIOCSTI, EPERM), ...refuseRange(SIOC_FIRST, SIOC_BEYOND)]),
    ...judge(mmap, argument(3), [[AND, 0, 0, MAP_KIND], ...refuseIf(JUMP_EQUAL, MAP_SHARED_ANONYMOUS, EPERM)]),
    ...judge(prctl, argument(0), refuseIf(JUMP_EQUAL, PR_SET_PDEATHSIG, EPERM)),
    ...judge(clone, argument(0), refuseIf(JUMP_ANY_BIT, CLONE_NEWUSER, EPERM)),
    [RETURN, 0, 0, ALLOW],
  ]
  return Buffer.concat(program.map(encode))
}

const refuseIf = (jump: number, k: number, refusal: number): Instruction[] => [
  [jump, 0, 1, k],
  [RETURN, 0, 0, refusal],
]

const refuseRange = (first: number, beyond: number): Instruction[] => [
  [JUMP_AT_LEAST, 0, 2, first],
  [JUMP_AT_LEAST, 1, 0, beyond],
  [RETURN, 0, 0, EPERM],
]

/** Judges one call by one of its arguments; what the rules do not refuse of it is allowed. */
const judge = (call: number, offset: number, rules: readonly Instruction[]): Instruction[] => [
  [JUMP_EQUAL, 0, rules.length + 2, call],
  [LOAD, 0, 0, offset],
  ...rules,
  [RETURN, 0, 0, ALLOW],
]

function allowFamilies(socket: number): Instruction[] {
  const rules: Instruction[] = [
    [LOAD, 0, 0, argument(0)],
    ...SOCKET_FAMILIES.flatMap((family): Instruction[] => [
      [JUMP_EQUAL, 0, 1, family],
      [RETURN, 0, 0, ALLOW],
    ]),
    [RETURN, 0, 0, EPERM],
  ]
  return [[JUMP_EQUAL, 0, rules.length, socket], ...rules]
}

/** `struct sock_filter`, little-endian as both machines are. */
function encode([code, ifTrue, ifFalse, k]: Instruction): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt16LE(code, 0)
  bytes.writeUInt8(ifTrue, 2)
  bytes.writeUInt8(ifFalse, 3)
  bytes.writeUInt32LE(k, 4)
  return bytes
}
