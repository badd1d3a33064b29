/** What the local API needs of a node. The composition root implements it; tests put a small fake in its place. */

import type { z } from 'zod'
import type {
  BlobStored,
  JobInfo,
  JobSummary,
  Jobs,
  jobRequestSchema,
  Removed,
  ResultRow,
  ResultsQuery,
  retryRequestSchema,
  Status,
} from '../../protocol/api.ts'
import type { PeerInfo, Peers } from '../../protocol/api-peers.ts'
import type { Revoked, TokenCreated, Tokens, tokenRequestSchema } from '../../protocol/api-tokens.ts'
import type { TreeLayout } from '../../protocol/data/layout.ts'
import type { ChunksQuery, TreeUpload } from '../../protocol/data/upload.ts'
import type { JobExplanation, PeerExplanation, UnitExplanation } from '../../protocol/explanation.ts'
import type { PeerEvidence } from '../../protocol/peer-credit.ts'
import type { PeerRules, PeerVerdict, RuleRequest, RuleTarget } from '../../protocol/peer-rules.ts'
import type { Plan, planRequestSchema } from '../../protocol/plan.ts'
import type { UnitLogs } from '../../protocol/report.ts'
import type { Reproduction } from '../../protocol/reproduction.ts'
import type { UnitOutput } from '../../protocol/tail.ts'

/** `read` gives a chunk. */
type UnitFilesHeld = {
  description: Uint8Array
  layout: TreeLayout
  read(chunk: number): Promise<Uint8Array>
  release(): void
}

/** Methods throw TalkootErrors; anything else that is thrown is answered as E_INTERNAL. */
export interface NodeServices {
  status(): Status
  /** The owner takes the machine back; null: until it is resumed. @throws E_USAGE, E_DISK_FULL */
  pause(forMs: number | null): Status
  resume(): Status
  peers(): Peers
  /** By id, unique end of an id, or name. @throws E_NOT_FOUND */
  peer(idOrName: string): PeerInfo
  evidence(): PeerEvidence
  /** By id, unique end of an id, or name; in force when it returns. @throws E_NOT_FOUND, E_USAGE, E_DISK_FULL */
  setPeerRule(target: RuleTarget, request: RuleRequest): PeerRules
  /** @throws E_NOT_FOUND when there is no such rule, E_DISK_FULL */
  clearPeerRule(target: RuleTarget, verdict: PeerVerdict): PeerRules
  /** @throws E_NOT_ADMIN */
  createToken(request: z.output<typeof tokenRequestSchema>): Promise<TokenCreated>
  tokens(): Tokens
  /** @throws E_NOT_FOUND */
  revokeToken(id: string, options: { members: boolean }): Promise<Revoked>
  /** @throws E_BLOB when the bytes have another digest, E_DISK_FULL */
  putBlob(digest: string, bytes: Uint8Array): BlobStored
  /** Room for a tree of files, kept while it comes. @throws E_TREE, E_BLOB, E_DISK_BUDGET, E_DISK_TAKEN, E_DISK_FULL */
  beginTree(digest: string, description: Uint8Array): Promise<TreeUpload>
  /** @throws E_NOT_FOUND when it was not begun, E_BLOB, E_DISK_FULL */
  takeChunks(digest: string, chunks: ChunksQuery, bytes: AsyncIterable<Uint8Array>): Promise<TreeUpload>
  /** Files that a unit of an own job left; the caller releases them. @throws E_NOT_FOUND, E_TREE */
  unitFiles(digest: string): Promise<UnitFilesHeld>
  /** @throws UnplaceableError unless `queue` */
  submit(request: z.output<typeof jobRequestSchema>, options: { queue: boolean }): Promise<JobInfo>
  /** A new job of the units of another that have failed. @throws E_NOT_FOUND, E_JOB_INVALID, and as `submit` */
  retry(idOrPrefix: string, request: z.output<typeof retryRequestSchema>, options: { queue: boolean }): Promise<JobInfo>
  /** @throws E_SWEEP_*, E_EXPRESSION, E_JOB_INVALID */
  plan(request: z.output<typeof planRequestSchema>): Plan
  jobs(): Jobs
  /** By id or unique prefix. @throws E_NOT_FOUND */
  job(idOrPrefix: string): JobInfo
  cancel(idOrPrefix: string): Promise<JobInfo>
  /** All of them or none, with all that is kept of them. @throws E_NOT_FOUND, E_JOB_RUNNING, E_JOB_NEEDED, E_DISK_FULL */
  remove(idsOrPrefixes: readonly string[]): Removed
  /** Neither changes a job that has ended. @throws E_NOT_FOUND, E_DISK_FULL */
  hold(idOrPrefix: string): JobInfo
  release(idOrPrefix: string): JobInfo
  /** @throws E_NOT_FOUND */
  explainJob(idOrPrefix: string): JobExplanation
  explainUnit(idOrPrefix: string, unit: number): UnitExplanation
  /** @throws E_NOT_FOUND */
  logs(idOrPrefix: string, unit: number): UnitLogs
  /** What a unit writes from now on, until it is decided. @param id of a job, whole. @throws E_NOT_FOUND */
  follow(id: string, unit: number, signal: AbortSignal): AsyncIterable<UnitOutput>
  /** By id, unique end of an id, or name. @throws E_NOT_FOUND */
  explainPeer(idOrName: string): PeerExplanation
  /** The job now and after each change; ends with its first state that is not `running`, or with the signal. */
  watchJob(idOrPrefix: string, signal: AbortSignal): AsyncIterable<JobSummary>
  results(idOrPrefix: string, query: ResultsQuery, signal: AbortSignal): AsyncIterable<ResultRow[]>
  /** What proves the results there are: lines with their ends, the last a seal. @throws E_NOT_FOUND, E_BLOB */
  receipts(id: string, signal: AbortSignal): AsyncIterable<string>
  /** Runs a unit of a job here, when it is read from. @throws E_NOT_FOUND, E_BLOB at once */
  reproduce(id: string, unit: number): (signal: AbortSignal) => AsyncIterable<Reproduction>
  requestStop(): void
}
