/**
 * What the node and a sandbox process say to each other: u32 big-endian length, then JSON.
 *
 * node -> process: one `InitFrame`, then a `RunFrame` at a time. process -> node: one `ReadyFrame`, then for each
 * `RunFrame` its calls' ends in order, in as many `EndsFrame`s as it takes, and between them what a unit saves, and before its
 * end what it leaves as files: parts of an archive, the last of them empty.
 */

/** The kinds of tasks whose units run in the harness. */
export type HarnessKind = 'js' | 'wasm' | 'wasi'
/** Python has a harness of its own, in the same sandbox. */
export type SandboxedKind = HarnessKind | 'python'

/** The files a job brings: a folder the process may read, and what it holds. */
export type Given = {
  /** As the process sees it. */
  folder: string
  files: readonly (readonly [path: string, bytes: number, executable: boolean])[]
}

/** `token` comes back in every frame of the process: task code does not know it, so it cannot forge one. */
export type InitFrame<Kind = SandboxedKind> = {
  token: string
  kind: Kind
  source: string
  seed: number
  memoryMiB: number
  given: Given
}

/** `resumed`: JSON, if its submitter tells the truth. `given`: files of its point, beside those of the job. */
export type RunCall = { unit: number; params: string; resumed?: string; given?: Given }
export type AgreeCall = { a: string; b: string }
export type Call = RunCall | AgreeCall
export type RunFrame = { id: number; calls: readonly Call[] }

/** The end of one call: `[null, value as canonical JSON, log]` or `[code, message, log]`. */
export type End = [code: string | null, text: string, log: string]

/** Of each part of an archive but the last: as base64 it fits into a frame, and small ones would cost the node far more than the process. */
export const PART_BYTES = 2 ** 20

/** The byte a process appends to its stderr for each call that ended: see `progress.ts`. V8 and Deno never write it. */
export const ENDED_MARK = 1
