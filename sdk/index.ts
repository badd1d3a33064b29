/**
 * talkoot for scientists: run a function on every point of a sweep, on all machines of a mesh.
 *
 * @example
 * import { grid, Mesh, range } from 'talkoot'
 * import pi from './pi.task.ts'
 *
 * await using mesh = await Mesh.connect()
 * await using job = await mesh.map(pi, grid({ seed: range(200), n: [1e7] }), { verify: { quorum: 2, of: 3 } })
 * for await (const result of job) console.log(result.params.seed, result.value)
 */

export type { JobInfo, JobState, JobSummary, Status } from '../protocol/api.ts'
export type { PeerInfo, Peers } from '../protocol/api-peers.ts'
export type { Json } from '../protocol/canonical.ts'
export { type ErrorCode, TalkootError } from '../protocol/errors.ts'
export type { JobExplanation, PeerExplanation, UnitExplanation } from '../protocol/explanation.ts'
export type { PeerCredit, PeerEvidence } from '../protocol/peer-credit.ts'
export type { Plan } from '../protocol/plan.ts'
export { REASONS, type Reason } from '../protocol/reasons.ts'
export type { UnitLogs } from '../protocol/report.ts'
export type { Reproduction } from '../protocol/reproduction.ts'
export type { UnitOutput } from '../protocol/tail.ts'
export type { ConnectOptions } from './client.ts'
export { type Command, type CommandOptions, type CommandValue, command } from './command.ts'
export { type Container, container } from './container.ts'
export type { Job, ResultsOptions } from './job.ts'
export type { LocalOptions } from './local.ts'
export { Mesh, type Whom } from './mesh.ts'
export type { InputsProgress, MapOptions } from './policy.ts'
export { type PythonOptions, type PythonTask, python } from './python.ts'
export type { Accepted, Failed, Result } from './result.ts'
export { type Sink, toCsv, toJsonl, toParquet } from './sinks.ts'
export {
  type Cell,
  choice,
  cross,
  csv,
  type Drawn,
  exclude,
  grid,
  integer,
  jsonl,
  latin,
  linspace,
  list,
  logspace,
  loguniform,
  points,
  random,
  range,
  type Sweep,
  slice,
  uniform,
  type Values,
  zip,
} from './sweep.ts'
export { type Agreement, defineTask, type Task, type TaskContext, type TaskDefinition, type Tolerance } from './task.ts'
export { type TaskAt, taskAt } from './task-at.ts'
export { type Proof, type VerifyInit, verifyResults } from './verify/verify.ts'
export { type WasiOptions, type WasiProgramTask, wasi } from './wasi.ts'
export { type WasmOptions, type WasmTask, wasm } from './wasm.ts'
