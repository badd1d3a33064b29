/**
 * What is told of an attempt beside its end: what it wrote, how it ended, what it took. Hints for whoever looks for what went
 * wrong: nothing of it is signed, agreed on, or decides anything.
 */

import { z } from 'zod'
import { textSchema } from './bytes.ts'
import { LIMITS } from './limits.ts'
import { digestSchema } from './manifest.ts'

const text = textSchema(LIMITS.REPORT_TEXT_MAX_BYTES)
const amount = z.number().min(0).nullable()

/** Of a unit that is a process: when, what its calls read and wrote, and where it believed to be. */
export const unitProcessSchema = z.object({
  /** By the clock of the machine it ran on, ISO 8601. */
  began: z.string().max(30),
  ended: z.string().max(30),
  /** Bytes, from and to pipes as well as files, as far as it was looked at; null: it was too short to be looked at. */
  readBytes: amount,
  writtenBytes: amount,
  host: z.string().max(100),
  user: z.string().max(100),
  /** The file its name stood for: `/usr/bin/python3.11`; null: not known from outside. */
  program: z.string().max(LIMITS.FILE_PATH_MAX_BYTES).nullable(),
})
export type UnitProcess = z.infer<typeof unitProcessSchema>

/** As it goes over the wire. Not strict, so that later versions may tell more. */
export const unitReportSchema = z.object({
  unit: z.int().min(0).max(LIMITS.SWEEP_UNITS_MAX),
  /** How its process ended; null where units have no process of their own, or it never began. */
  exit: z.object({ code: z.int().nullable(), signal: z.string().max(20).nullable() }).nullable(),
  /** The last of what it wrote. */
  stdout: text,
  stderr: text,
  /** From start to end, milliseconds; null: not measured. */
  wallMs: amount,
  /** Of all its processes, as far as it was looked at, milliseconds; null: it was too short to be looked at. */
  cpuMs: amount,
  /** The most that was seen of all its processes together, MiB; null: it was too short to be looked at. */
  peakMiB: amount,
  /** What ran it and on what: `command 0.11.0`, `Linux 6.8.0 x64`. */
  runtime: z.string().max(100),
  system: z.string().max(100),
  process: unitProcessSchema.optional(),
})
export type UnitReport = z.infer<typeof unitReportSchema>

/** As the submitter's node keeps it. `code`: what the attempt failed with; null: it ended well. */
export const keptReportSchema = unitReportSchema.extend({
  code: z.string().nullable(),
  // What does not belong on a terminal was replaced, which may have made them longer.
  stdout: z.string(),
  stderr: z.string(),
})
export type KeptReport = z.infer<typeof keptReportSchema>

export const unitLogsSchema = z.object({
  schema: z.literal('talkoot.logs/1'),
  job: digestSchema,
  unit: z.int().min(0),
  /** Oldest first, the newest `UNIT_REPORTS_MAX` at most. */
  attempts: z.array(keptReportSchema.omit({ unit: true }).extend({ peer: z.string(), name: z.string() })),
})
export type UnitLogs = z.infer<typeof unitLogsSchema>
