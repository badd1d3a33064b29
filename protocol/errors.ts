/**
 * Every error a person or a peer can meet: a stable code, whose move it is, and what to do next.
 *
 * A code is never reused for another meaning and its text is never matched by a program.
 */

/** Who must act for the error to go away. */
export type Mover = 'user' | 'owner' | 'peer' | 'platform' | 'bug'

type Entry = { readonly mover: Mover; readonly hint: string }

const entry = (mover: Mover, hint: string): Entry => ({ mover, hint })

export const ERRORS = {
  // the node and its state folder
  E_ALREADY_RUNNING: entry('owner', 'stop that process (`talkoot down`) or choose another folder with TALKOOT_HOME'),
  E_NOT_RUNNING: entry('user', 'start the node with `talkoot up`'),
  E_CONFIG: entry('owner', 'correct the named setting in config.json; the message says what is allowed'),
  E_STATE_UNSAFE: entry('owner', 'make the state folder yours and private: chmod 700'),
  E_LEDGER_CORRUPT: entry('owner', 'restore ledger.sqlite from a copy, or move it away to begin a new one'),
  E_LEDGER_VERSION: entry('owner', 'use the version of talkoot that wrote this ledger, or a newer one'),
  E_DISK_FULL: entry('owner', 'free some disk space; nothing half-written was kept'),
  E_PORT: entry('owner', 'choose another port with --port, or 0 for any free one'),
  E_UNAUTHORIZED: entry('user', 'use the token in api.json of the state folder of the node you mean'),
  E_REQUEST: entry('user', 'use the SDK and the command line of the version the node runs'),
  E_REQUEST_TOO_BIG: entry('user', 'send less: the limit is in docs/limits.md'),
  E_WAITED: entry('user', 'give it more time with --timeout, or look at `talkoot status` and `talkoot doctor`'),
  E_FILE: entry('user', 'check the path, and that you may read or write there'),
  E_USAGE: entry('user', 'see `talkoot VERB --help`'),
  E_NOT_FOUND: entry('user', 'list what there is: `talkoot jobs`, `talkoot peers`, `talkoot token list`'),
  E_INTERNAL: entry('bug', 'please report this with the node log'),

  // the mesh
  E_TOKEN_MALFORMED: entry('user', 'copy the whole token, from talkoot1: to its end'),
  E_TOKEN_WRONG: entry('user', 'ask an admin of the mesh for a new token'),
  E_TOKEN_EXPIRED: entry('user', 'ask an admin of the mesh for a new token'),
  E_TOKEN_REVOKED: entry('user', 'ask an admin of the mesh for a new token'),
  E_TOKEN_USED: entry('user', 'ask an admin of the mesh for a new token: this one has no uses left'),
  E_TOO_MANY_TRIES: entry('user', 'wait a minute before trying another token from this machine'),
  E_MESH_MISMATCH: entry('user', 'the machine that answered is not of the mesh in the token: ask for a new token'),
  E_MESH_UNREACHABLE: entry('user', 'check that the machine that made the token is up and its address can be dialled'),
  E_ALREADY_MEMBER: entry('user', 'this node belongs to another mesh: use another state folder (TALKOOT_HOME) to join'),
  E_NOT_ADMIN: entry('user', 'ask an admin of the mesh, or join with a token of role admin'),
  E_NOT_MEMBER: entry('peer', 'join the mesh with a token'),
  E_CERT_INVALID: entry('peer', 'join the mesh again with a new token'),
  E_CERT_EXPIRED: entry('peer', 'join the mesh again with a new token'),
  E_CERT_REVOKED: entry('peer', 'an admin has removed this peer from the mesh'),
  E_HANDSHAKE: entry('peer', 'update talkoot on the older of the two machines'),
  E_AD_INVALID: entry('peer', 'update talkoot on the peer that sent it'),
  E_UNREACHABLE: entry('peer', 'the peer does not answer; it will be tried again'),
  E_FRAME: entry('peer', 'the peer sent bytes that are not of this protocol and was disconnected'),
  E_FRAME_TOO_BIG: entry('peer', 'the peer sent a frame over the limit and was disconnected'),
  E_PROTOCOL_VERSION: entry('peer', 'update talkoot on the older of the two machines'),
  E_FLOOD: entry('peer', 'the peer sent or asked more than it may; it was disconnected and is refused for a minute'),
  E_BLOB: entry('peer', 'the bytes do not match their digest; they are fetched again from another peer'),

  // files as data
  E_TREE: entry('user', 'name plain files and folders with portable names, within the bounds of docs/limits.md'),
  E_TREE_SOURCE: entry(
    'peer',
    'no peer gives all of the files: keep a machine that has them running; what has come is kept',
  ),
  E_FETCHING: entry('peer', 'the peer fetches the files of the job; it is given units when it has them'),
  E_DISK_BUDGET: entry(
    'owner',
    'let the files of jobs take more of the disk: `talkoot up --disk`, or `diskMiB` in config.json',
  ),
  E_DISK_TAKEN: entry('owner', 'wait until a job that needs its files has ended, or let files take more: `up --disk`'),

  // a job and its policy
  E_JOB_INVALID: entry('user', 'correct the named field of the job'),
  E_JOB_UNPLACEABLE: entry(
    'user',
    'loosen the named clause (`talkoot plan` says how far), or let a machine that satisfies it join',
  ),
  E_JOB_CANCELLED: entry('user', 'the job was cancelled'),
  E_JOB_RUNNING: entry('user', 'wait until it has ended, or cancel it first: `talkoot job cancel JOB`'),
  E_JOB_NEEDED: entry(
    'user',
    'remove the named jobs with it, in one `talkoot job remove`; one that runs must end first',
  ),
  E_EXPRESSION: entry('user', 'correct the CEL expression: fields are listed in docs/protocol.md'),
  E_SWEEP_INVALID: entry('user', 'correct the named part of the sweep'),
  E_SWEEP_TOO_BIG: entry('user', 'split the sweep into several jobs'),
  E_TASK_INVALID: entry(
    'user',
    'correct what the message names; a task module exports a function, or defineTask(...), as its default',
  ),
  E_TASK_BUNDLE: entry('user', 'correct what the message names in the task module'),
  E_TASK_TOO_BIG: entry('user', 'bundle less: large data goes as sweep rows, or with `--in` of a script or program'),
  E_INPUT: entry('user', 'the parameters do not fit the input schema of the task'),
  E_OUTPUT: entry('user', 'the value does not fit the output schema of the task'),
  E_JOB_STOPPED: entry(
    'user',
    '`talkoot explain JOB` says what differs: submit it anew with a tolerance, or make the task repeat',
  ),
  E_UNITS_FAILED: entry('user', 'look at the failed units: `talkoot job results JOB --failed`'),

  // exported receipts and results that are verified
  E_PROOF_FORM: entry(
    'user',
    'take both files as talkoot wrote them: `job receipts --out`, `job results --out x.jsonl`',
  ),
  E_PROOF_MANIFEST: entry('user', 'the job description is not the one its submitter signed: do not trust this file'),
  E_PROOF_TASK: entry('user', 'the task or its rows are not those of the job description: do not trust this file'),
  E_PROOF_CERTIFICATE: entry('user', 'a certificate is not what it claims: do not trust this file'),
  E_PROOF_SEAL: entry('user', 'the file is not as its submitter sealed it: export the receipts again'),
  E_RECEIPT_FORGED: entry('user', 'a worker’s signature is wrong: do not trust this file'),
  E_RECEIPT_JOB: entry('user', 'a receipt is of another job: do not trust this file'),
  E_RECEIPT_UNITS: entry('user', 'a receipt is for units the job does not have: do not trust this file'),
  E_RECEIPT_TWICE: entry('user', 'a receipt is there twice: export the receipts again'),
  E_RECEIPT_ORDER: entry('user', 'receipts are not in their order: export the receipts again'),
  E_RECEIPT_MISSING: entry('user', 'a receipt is missing: export the receipts again'),
  E_RESULT_ALTERED: entry('user', 'a result is not the one the receipts and the seal are for: get the results again'),
  E_RESULT_TWICE: entry('user', 'a unit is there twice: get the results again'),
  E_RESULT_MISSING: entry(
    'user',
    'results are missing: get all of them again, after the receipts if the job still runs',
  ),

  // one unit
  E_TASK_THREW: entry('user', 'the task threw; the message is its own'),
  E_TIMEOUT: entry('user', 'give each unit more time (--time, timeoutMs), or make it stop by itself'),
  E_MEMORY: entry('user', 'ask for more memory (--memory, memoryMiB), or use less'),
  E_NEVER_SETTLED: entry('user', 'the promise the task returned can never settle'),
  E_RESULT_TYPE: entry('user', 'return plain data: finite numbers, strings, booleans, null, arrays, plain objects'),
  E_CHECKPOINT: entry('user', 'save less, and only plain data: the limit is in docs/limits.md'),
  E_RESULT_TOO_BIG: entry('user', 'return less: the limit is in docs/limits.md'),
  E_SOURCE: entry('user', 'the task does not compile or its module threw while loading'),
  E_IMPORT: entry(
    'user',
    'a module is missing: import at the top of a js task, so that it is bundled; bring those of Python with --in',
  ),
  E_WHEEL: entry(
    'user',
    'bring the wheel that was built for any machine, or for the Pyodide that docs/python.md names',
  ),
  E_PROTOCOL: entry('user', 'the task broke the sandbox protocol and its process was ended'),
  E_EXIT: entry('user', 'the program ended with that exit code or signal; the message ends with its last errors'),
  E_OUTPUT_MISSING: entry('user', 'make the program write that file before it ends, or name with --out what it writes'),
  E_OUTPUT_LOST: entry('peer', 'the worker did not give the files of the unit; it is tried elsewhere'),
  E_PROGRAM_MISSING: entry(
    'owner',
    'install the program on that machine, bring it with --in, or ask for machines that have it with --require',
  ),
  E_UNIT_CRASHED: entry('peer', 'the sandbox process ended by itself; the unit is tried elsewhere'),
  E_NO_QUORUM: entry('user', 'peers disagree: seed the task, or state a tolerance in `agree`'),
  E_RETRIES: entry('user', 'every attempt failed: the message is that of the last one'),
  E_DEADLINE: entry('user', 'the deadline of the job passed first'),

  // a worker refuses
  E_ROOT: entry(
    'owner',
    'units never run as root: start the node as an ordinary user, or as a root that may become user 65534',
  ),
  E_NO_OS_SANDBOX: entry(
    'owner',
    'install bubblewrap and allow user namespaces; without them only members’ work is run',
  ),
  E_RUNTIME_MISSING: entry('owner', 'install again: the message says what is not there or does not start'),
  E_RUNTIME_VERSION: entry('owner', 'install again: the runtime is not the version this release was tested with'),
  E_NATIVE_UNTRUSTED: entry(
    'owner',
    'the owner of that machine says in `commands` and `python` of config.json whose programs and scripts it runs',
  ),
  E_CONTAINER_UNUSABLE: entry(
    'owner',
    'install podman and crun, and let users make namespaces; the message says what is missing',
  ),
  E_IMAGE: entry('user', 'save one image as `docker save` or `podman save` does, within the bounds of docs/limits.md'),
  E_NATIVE_PLATFORM: entry('owner', 'programs are run on Linux with bubblewrap and user namespaces only'),
  E_ROLE: entry('user', 'submit from a machine that joined with a token of role member or admin'),
  E_OWN_LIMITS: entry('owner', 'the job asks for more than the owner of this machine offers'),
  E_DRAINING: entry('owner', 'the machine is leaving; its work goes elsewhere'),
  E_PAUSED: entry('owner', 'the owner has paused the machine; its work goes elsewhere until it is back'),
  E_BLOCKED: entry('owner', 'the user of that machine has blocked this one; ask them for `talkoot peer unblock`'),
  E_BUSY: entry('peer', 'the peer has no room now; it is asked again later'),
  E_LEASE_LAPSED: entry('peer', 'the peer went silent; its units were given to others'),
} as const satisfies Record<string, Entry>

export type ErrorCode = keyof typeof ERRORS

/** Facts of one error, plain data only. */
type ErrorMeta = Readonly<Record<string, string | number | boolean | null | readonly string[]>>

/** An error as it travels: over the wire, in the ledger, in `--json`. */
type ErrorObject = { code: ErrorCode; message: string; mover: Mover; hint: string; meta?: ErrorMeta | undefined }

export class TalkootError extends Error {
  override readonly name = 'TalkootError'
  readonly code: ErrorCode
  readonly meta: ErrorMeta | undefined

  constructor(code: ErrorCode, message: string, options: { meta?: ErrorMeta; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.meta = options.meta
  }

  get mover(): Mover {
    return ERRORS[this.code].mover
  }

  get hint(): string {
    return ERRORS[this.code].hint
  }

  toObject(): ErrorObject {
    const { code, message, mover, hint, meta } = this
    return meta === undefined ? { code, message, mover, hint } : { code, message, mover, hint, meta }
  }

  static fromObject(object: { code: string; message: string; meta?: ErrorMeta | undefined }): TalkootError {
    const code = isErrorCode(object.code) ? object.code : 'E_INTERNAL'
    return new TalkootError(code, object.message, object.meta === undefined ? {} : { meta: object.meta })
  }

  /** Wraps whatever was thrown; what is already ours passes through unchanged. */
  static from(thrown: unknown, code: ErrorCode = 'E_INTERNAL'): TalkootError {
    if (thrown instanceof TalkootError) return thrown
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return new TalkootError(code, message, { cause: thrown })
  }
}

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code)
}
