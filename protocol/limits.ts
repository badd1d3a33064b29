/**
 * Every bound of the system, by name, with its unit in the name. docs/limits.md says what happens at each;
 * a test checks that the page lists them all.
 */

const KiB = 1024
const MiB = 1024 * KiB

export const LIMITS = {
  // frames and streams
  FRAME_MAX_BYTES: 1 * MiB,
  FRAME_UNITS_MAX: 1_024,
  STREAM_CREDIT_FRAMES: 3,
  CHANNELS_PER_CONNECTION_MAX: 64,
  /** Of one peer, whatever for. */
  STREAMS_PER_SECOND: 200,
  STREAM_BURST: 1_000,
  BLOB_CHUNK_BYTES: 512 * KiB,
  BLOB_MAX_BYTES: 64 * MiB,
  HANDSHAKE_TIMEOUT_MS: 5_000,
  REQUEST_TIMEOUT_MS: 10_000,
  DIAL_TIMEOUT_MS: 5_000,
  CONNECTIONS_MAX: 150,
  /** Peers connected to without any work between them. */
  CONNECTIONS_IDLE_MAX: 100,

  JOIN_TIMEOUT_MS: 20_000,
  /** Times each address of a token is tried. */
  JOIN_ROUNDS: 4,
  PROBE_TIMEOUT_MS: 30_000,

  // membership
  TOKEN_USES_MAX: 1_000,
  TOKEN_TTL_MAX_MS: 30 * 24 * 3_600_000,
  TOKEN_ADDRESSES_MAX: 16,
  TOKENS_LIVE_MAX: 1_000,
  TOKEN_MAX_CHARS: 8_192,
  TOKEN_GUESSES_PER_MINUTE: 30,
  CERT_TTL_MS: 365 * 24 * 3_600_000,
  CERT_SKEW_MS: 24 * 3_600_000,
  CERT_CHAIN_MAX: 4,
  CERT_MAX_BYTES: 4 * KiB,
  REVOCATIONS_MAX: 10_000,
  REFUSALS_KEPT_MAX: 100,
  FLOOD_REFUSED_MS: 60_000,
  HELLO_MAX_BYTES: 48 * KiB,
  HELLO_PENDING_MAX: 100,

  // ads and rendezvous
  AD_MAX_BYTES: 8 * KiB,
  SIGNATURE_MAX_BYTES: 128,
  AD_TTL_MS: 600_000,
  AD_LABELS_MAX: 32,
  ADS_KNOWN_MAX: 10_000,
  PEERS_REMEMBERED_MAX: 1_000,
  /** Peers and operators that the user of a node has blocked or trusts. */
  PEER_RULES_MAX: 1_000,
  PEER_RULE_REASON_MAX_CHARS: 200,
  RENDEZVOUS_LOOKUP_MS: 5_000,
  PEERS_WANTED: 32,
  /** Of the peers wanted, those connected to while there is no work to give. */
  PEERS_KEPT: 20,
  PEERS_HEARD_OF_MAX: 128,
  /** Provider records kept for others. */
  DHT_RECORDS_MAX: 5_000,
  DHT_RECORDS_PER_PEER_MAX: 64,
  /** Closer peers, and as many providers: a key has some 400 at most. */
  DHT_ANSWER_PEERS_MAX: 512,
  /** Of one peer. */
  DHT_QUESTIONS_PER_SECOND: 20,
  DHT_BURST_QUESTIONS: 200,
  /** Of whom addresses are kept. */
  PEERS_ADDRESSED_MAX: 5_000,
  PEER_BEAT_MS: 10_000,
  PEER_SILENCE_MS: 30_000,
  SYNC_MESSAGES_PER_SECOND: 20,
  SYNC_CHANNELS_MAX: 2,
  SYNC_BURST_MESSAGES: 200,

  // jobs
  MANIFEST_MAX_BYTES: 512 * KiB,
  TASK_MAX_BYTES: 8 * MiB,
  SWEEP_UNITS_MAX: 100_000_000,
  /** Runs of units, one after another, that a job runs again of another. */
  UNIT_RUNS_MAX: 50_000,
  SWEEP_AXES_MAX: 64,
  SWEEP_DEPTH_MAX: 16,
  SWEEP_EXCLUDED_MAX: 1_000_000,
  SWEEP_ROWS_MAX_BYTES: 16 * MiB,
  PARAMS_MAX_BYTES: 64 * KiB,
  EXPRESSION_MAX_CHARS: 4_096,
  EXPRESSION_MAX_NODES: 256,
  JOB_NAME_MAX_CHARS: 120,
  JOBS_ACTIVE_MAX: 1_000,
  /** Jobs one job may follow. */
  JOB_AFTER_MAX: 64,
  /** Peers and codes named with one reason. */
  EXPLAIN_NAMES_MAX: 8,
  /** Changes of clauses that `plan` suggests. */
  RELAXATIONS_MAX: 8,
  /** Tasks whose unit times are remembered. */
  UNIT_TIMES_MAX: 10_000,
  QUORUM_MAX: 15,
  UNIT_VOICES_MAX: 32,
  PEERS_CREDITED_MAX: 20_000,
  CATCHES_KEPT_MAX: 10_000,
  UNCHECKED_UNITS_KEPT_MAX: 64,
  CANARY_UNITS_KEPT_MAX: 64,
  DIFFERING_UNITS_KEPT_MAX: 64,
  RETRIES_MAX: 20,
  PRIORITY_STEPS_MAX: 3,

  // the owner
  PAUSE_MAX_MS: 7 * 24 * 3_600_000,

  // one unit
  UNIT_MEMORY_DEFAULT_MIB: 256,
  UNIT_MEMORY_MAX_MIB: 16_384,
  UNIT_TIMEOUT_DEFAULT_MS: 60_000,
  UNIT_TIMEOUT_MAX_MS: 24 * 3_600_000,
  UNIT_RESULT_MAX_BYTES: 256 * KiB,
  UNIT_ERROR_MAX_CHARS: 2_000,
  UNIT_LOG_MAX_CHARS: 16 * KiB,
  /** Of what a unit wrote to stdout and to stderr, each, that goes to the submitter beside its end. */
  REPORT_TEXT_MAX_BYTES: 16 * KiB,
  /** What a submitter keeps of attempts beside their ends. */
  UNIT_REPORTS_MAX: 16,
  /** What is kept of a running unit for who follows it, and how many may follow units of one worker. */
  LOG_RING_BYTES: 64 * KiB,
  LOG_TAILS_MAX: 64,
  /** Files a unit gives back; a worker keeps them until they are fetched, so long at most. */
  UNIT_FILES_MAX: 10_000,
  UNIT_FILES_MAX_BYTES: 64 * MiB,
  UNIT_FILES_KEEP_MS: 120_000,
  /** Of one submitter, as they count in the disk's budget. */
  UNIT_FILES_KEPT_MAX_BYTES: 256 * MiB,
  /** Of the archive they come in, its headers and what is after its end included. */
  UNIT_ARCHIVE_MAX_BYTES: 256 * MiB,
  UNIT_FILES_FETCH_TIMEOUT_MS: 120_000,
  /** Units of one worker whose files come or wait for their turn. */
  UNIT_FETCHES_PER_PEER_MAX: 256,
  /** Room that files of units leave on the disk of the submitter. */
  DISK_RESERVE_MIB: 256,
  JOB_REPORTS_MAX_BYTES: 64 * MiB,
  UNIT_VALUE_DEPTH_MAX: 64,
  /** What a unit saves of itself; with its envelope it fits a frame. */
  UNIT_CHECKPOINT_MAX_BYTES: 512 * KiB,
  UNIT_CPUS_MAX: 1_024,
  /** Of each core it may use. */
  UNIT_PROCESSES_MAX: 64,

  // a program as a task
  COMMAND_ARGUMENTS_MAX: 256,
  COMMAND_ARGUMENT_MAX_CHARS: 32 * KiB,
  COMMAND_VARIABLES_MAX: 64,
  COMMAND_OUTPUTS_MAX: 64,
  /** One argument, variable or input with its parameters in place: Linux takes no string of 128 KiB. */
  COMMAND_FILLED_MAX_BYTES: 127 * KiB,
  /** All of them together: Linux takes 2 MiB, parameters as variables included. */
  COMMAND_LINE_MAX_BYTES: 1 * MiB,
  /** Files and folders right in the folder of a unit. */
  COMMAND_INPUTS_MAX: 1_000,
  /** Folders it brings, as environments. */
  COMMAND_BROUGHT_FOLDERS_MAX: 8,
  FILE_PATH_MAX_BYTES: 1_024,
  /** Names in a path. */
  FILE_PATH_PARTS_MAX: 64,
  FILE_NAME_MAX_BYTES: 255,
  /** What a unit may write: in its folder, in /tmp, and in /dev/shm, each. All of it is memory. */
  COMMAND_SCRATCH_MIB: 64,
  /** What a unit may write to stderr; the last of it is kept. */
  COMMAND_STDERR_MAX_BYTES: 64 * MiB,
  COMMAND_OPEN_FILES_MAX: 1_024,
  /** How often the memory of all processes of a unit is added up. */
  COMMAND_MEMORY_LOOK_MS: 100,
  /** A sandbox whose folders are not empty again so long after a unit is not used for the next. */
  COMMAND_REFRESH_MAX_MS: 1_000,
  /** How often the file is looked at in which a unit saves its state. */
  COMMAND_CHECKPOINT_LOOK_MS: 1_000,

  // a WebAssembly module as a task
  WASM_PARAMETERS_MAX: 256,
  WASM_NAME_MAX_CHARS: 256,
  /** Modules a js task has compiled whose bytes are remembered, so as not to look through them again. */
  WASM_MODULES_KEPT_MAX: 4,
  /** What a unit saves of itself: in base64, as a string of JSON, it is a checkpoint. */
  WASM_CHECKPOINT_MAX_BYTES: 380 * KiB,
  /** What a WASI program may write to files. All of it is memory. */
  WASI_WRITTEN_MAX_BYTES: 64 * MiB,

  // a Python script as a task
  /** Of Python's own memory at its start, on top of the memory of the unit. */
  PYTHON_INTERPRETER_MIB: 30,
  /** What Pyodide takes beside that of the machine's memory, on top of what V8 reserves. */
  PYTHON_BASE_MIB: 512,
  /** Of JavaScript, of which Pyodide needs some 40. */
  PYTHON_HEAP_MIB: 256,
  PYTHON_STACK_MIB: 64,
  /** The largest file its process may write: the snapshot. */
  PYTHON_FILE_MAX_BYTES: 64 * MiB,
  /** What a unit may write to files. All of it is memory. */
  PYTHON_WRITTEN_MAX_BYTES: 64 * MiB,
  PYTHON_SNAPSHOT_TIMEOUT_MS: 120_000,

  // images
  IMAGE_LAYERS_MAX: 100,
  /** Of all layers: files, folders and links, and what they unpack to. */
  IMAGE_ENTRIES_MAX: 500_000,
  IMAGE_MAX_BYTES: 16 * 1024 * MiB,

  // trees of files
  TREE_CHUNK_BYTES: 1 * MiB,
  TREE_FILES_MAX: 100_000,
  /** Folders its files lie in, at any depth. */
  TREE_FOLDERS_MAX: 10_000,
  /** Of all its files together. */
  TREE_MAX_BYTES: 8 * 1024 * MiB,
  /** Of its description: names and digests. */
  TREE_DESCRIPTION_MAX_BYTES: 16 * MiB,
  /** What a file takes on a disk beside its bytes, at most. */
  TREE_FILE_COST_BYTES: 4 * KiB,
  /** Of a chunk on its way: what a beat or a frame of units may have to wait for. */
  TREE_PIECE_BYTES: 128 * KiB,
  /** Chunks asked of one holder and not come yet; as many again of its own choice. */
  TREE_ASKS_PER_HOLDER: 4,
  TREE_CHUNKS_TOLD_MAX: 1_024,
  /** Peers one tree is fetched from at once, and known as having some of it. */
  TREE_HOLDERS_MAX: 6,
  TREE_HOLDERS_KNOWN_MAX: 64,
  TREE_FETCHERS_TOLD_MAX: 32,
  /** Trees of which it is known who fetched them here. */
  TREE_SHARINGS_MAX: 64,
  /** Trees on their way to this node at once: all, and those to be had of one peer. */
  TREE_FETCHES_MAX: 16,
  TREE_FETCHES_PER_SOURCE_MAX: 2,
  /** Trees on their way from this node: all, and to one peer. */
  TREE_UPLOADS_MAX: 16,
  TREE_UPLOADS_PER_PEER_MAX: 4,
  /** Of parts that a peer asks for: each file takes some of this node's time before any of it is read. */
  TREE_PART_FILES_PER_SECOND: 10_000,
  TREE_PART_FILES_BURST: 200_000,
  /** A holder of all gives a chunk again to one who could have had it from another for so long. */
  TREE_PATIENCE_MS: 2_000,
  /** A chunk owed for so long is asked of another too, when nothing else is left to ask for. */
  TREE_LATE_MS: 2_000,
  /** A peer that owes chunks and sends nothing, or takes nothing of what it asked for. */
  TREE_STALL_MS: 10_000,
  /** Nobody sends anything. */
  TREE_SILENCE_MS: 60_000,
  /** Nobody sends anything, and somebody says that it is busy. */
  TREE_BUSY_MAX_MS: 600_000,

  /** Trees on their way from the user to this node, and how long one is kept that neither grows nor is needed. */
  UPLOADS_MAX: 64,
  UPLOAD_IDLE_MS: 600_000,
  /** Points of a sweep whose files are named by their parameters. */
  INPUT_POINTS_MAX: 1_000_000,
  /** Templates of such names. */
  POINT_INPUT_NAMES_MAX: 64,
  /** Files of all points that a worker fetches whole, before its first unit: to ask for those of each unit would take longer. */
  POINT_INPUTS_WHOLE_MAX_BYTES: 16 * MiB,
  /** Units of a job whose files a worker has or fetches before their turn, beside one for each slot. */
  POINT_INPUTS_AHEAD_UNITS: 4,
  /** One request with chunks, and one answer with what is missing. */
  UPLOAD_MAX_BYTES: 8 * MiB,
  UPLOAD_CHUNKS_MAX: 1_024,
  UPLOAD_RANGES_MAX: 1_000,

  // one sandbox process
  SANDBOX_START_TIMEOUT_MS: 20_000,
  SANDBOX_FLUSH_MS: 50,
  SANDBOX_REPLY_MAX_BYTES: 2 * MiB,
  /** What V8 reserves by itself, on top of the memory of the unit. */
  SANDBOX_BASE_MIB: 560,
  SANDBOX_OPEN_FILES_MAX: 64,
  SANDBOX_FILE_MAX_BYTES: 16 * MiB,
  /** Files a script or a WASI program is given: they are laid down anew for every unit. */
  SANDBOX_INPUT_FILES_MAX: 10_000,
  /** Checkpoints that leave it; those beyond are passed over. */
  SANDBOX_CHECKPOINTS_PER_SECOND_BYTES: 1 * MiB,

  // scheduling
  LEASE_MS: 3_000,
  BEAT_MS: 800,
  /** Files of a job that take a worker longer to fetch are fetched without any of its units in hand. */
  FETCH_GRACE_MS: 1_000,
  PEER_WINDOW_UNITS_MAX: 4_096,
  PEER_BACKOFF_MAX_MS: 60_000,
  UNDECIDED_UNITS_MAX: 65_536,
  UNDECIDED_VALUES_MAX_BYTES: 64 * MiB,
  SETTLED_PER_STEP_MAX: 4_096,
  SPARE_COPIES_MAX: 3,
  SESSIONS_PER_WORKER_MAX: 64,
  /** What a submitter has said and a worker has not taken. */
  SESSION_UNSENT_MAX_BYTES: 32 * MiB,
  SESSION_RETRY_MIN_MS: 500,
  SESSION_RETRY_MAX_MS: 15_000,
  /** Decisions wait this long for company before they are written, or until there are this many; longer on a slow disk. */
  LEDGER_DELAY_MS: 10,
  LEDGER_DELAY_MAX_MS: 200,
  LEDGER_BATCH_ROWS: 2_000,
  LEDGER_RETRY_MS: 5_000,
  /** What goes with a removed job goes in steps of about this; others have as long between two of them. */
  REMOVAL_STEP_MS: 10,
  REMOVAL_JOBS_MAX: 1_000,
  PROGRESS_INTERVAL_MS: 200,
  /** What waits at a worker for one submitter: units, and bytes of their parameters. */
  WORKER_QUEUE_UNITS_MAX: 8_192,
  WORKER_QUEUE_MAX_BYTES: 16 * MiB,
  /** Tasks a worker holds in memory for all its submitters. */
  WORKER_TASKS_MAX_BYTES: 256 * MiB,
  /** A worker that stops waits so long for its last results to be taken. */
  WORKER_STOP_GRACE_MS: 1_000,
  JOBS_PER_DESK_MAX: 256,
  /** Jobs a submitter tells one worker of at once. */
  JOBS_TOLD_MAX: 192,
  BUSY_RETRY_MS: 2_000,
  /** A worker keeps results of a submitter that is away: this much, this long. */
  OUTBOX_MAX_BYTES: 16 * MiB,
  ORPHAN_GRACE_MS: 120_000,
  /** Ends of attempts are sent at once if none were sent for so long, and gathered until then otherwise. */
  RESULTS_INTERVAL_MS: 250,
  /** Checkpoints of a running unit go to its submitter so often, and those of all its units not faster. */
  CHECKPOINT_INTERVAL_MS: 5_000,
  CHECKPOINTS_PER_SECOND_BYTES: 1 * MiB,
  /** What a worker holds of them for one submitter; what a submitter holds for one job, and for all. */
  WORKER_CHECKPOINTS_MAX_BYTES: 8 * MiB,
  JOB_CHECKPOINTS_MAX_BYTES: 16 * MiB,
  CHECKPOINTS_MAX_BYTES: 64 * MiB,
  /** A unit that is not wanted any more may run on so long before its process is ended for it. */
  UNWANTED_RUN_MS: 200,
  /** A slot leaves a job that is ahead of another by this much slot time; by less, if the other's process is warm. */
  SLOT_QUANTUM_MS: 1_000,
  SLOT_QUANTUM_WARM_MS: 100,
  /** A slot stays with one job so long, whatever jobs come. */
  SLOT_STAY_MS: 200,
  /** A batch that still runs after so long is cut if another job is due. */
  SLOT_BATCH_MAX_MS: 500,
  /** By how much a submitter may be ahead of its share for the first slot of a job. */
  SHARE_BORROW_MS: 1_000,
  /** How much of its share a submitter may take later that it did not take when it could. */
  SHARE_CREDIT_MS: 500,
  /** The owner's weights of submitters; what their work for this machine may make of it, and how much work is half of that. */
  SHARE_WEIGHT_MIN: 0.01,
  SHARE_WEIGHT_MAX: 100,
  SHARE_PEERS_MAX: 1_000,
  RECIPROCITY_MAX: 4,
  RECIPROCITY_HALF_MS: 3_600_000,
  /** A job that waited so long for cores or memory has them kept. */
  ROOM_GRACE_MS: 1_000,
  /** A sandbox that no unit waits for is kept warm this long, and so many of them at most. */
  SANDBOX_LINGER_MS: 5_000,
  SANDBOXES_WARM_MAX: 32,
  /** One call into a sandbox is sized to this much work. */
  SANDBOX_BATCH_MS: 100,

  // the local API
  API_BODY_MAX_BYTES: 64 * MiB,
  API_CONNECTIONS_MAX: 128,
  API_CHUNK_CHARS: 256 * KiB,
  /** A node that is busy has few turns a second for its readers: a page holds what is decided between two of them. */
  API_PAGE_ROWS: 4_096,
  API_KEEPALIVE_MS: 15_000,
  API_STOP_GRACE_MS: 1_000,
  API_REQUEST_TIMEOUT_MS: 60_000,
  API_LINE_MAX_CHARS: 4 * MiB,
  API_RECONNECT_MAX_MS: 60_000,
  API_RECONNECT_BACKOFF_MAX_MS: 2_000,
} as const
