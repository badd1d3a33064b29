/** The owner's settings: config.json, with the flags of `talkoot up` over it. */

import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism, hostname, totalmem } from 'node:os'
import { z } from 'zod'
import { TalkootError } from '../protocol/errors.ts'
import { faultText } from '../protocol/fault-text.ts'
import { LIMITS } from '../protocol/limits.ts'
import { nameSchema } from '../protocol/text.ts'

const weight = z.number().min(LIMITS.SHARE_WEIGHT_MIN).max(LIMITS.SHARE_WEIGHT_MAX)

/** Weights of those who want slots here at the same time: twice the weight, twice the slot time. */
const sharesSchema = z.strictObject({
  /** This machine's own jobs. */
  self: weight.default(4),
  member: weight.default(1),
  stranger: weight.default(1),
  /** Single peers, by id. */
  peers: z
    .record(z.string(), weight)
    .default({})
    .refine((peers) => Object.keys(peers).length <= LIMITS.SHARE_PEERS_MAX, {
      error: `${LIMITS.SHARE_PEERS_MAX} peers at most`,
    }),
})

/** Every setting is optional in the file; what is absent takes the default said here. */
export const settingsSchema = z.strictObject({
  /** What this machine is called in lists. Default: the host's name. */
  name: nameSchema.min(1).default(() => hostname().slice(0, 64) || 'node'),
  /** Units at once. Default: all cores. 0: this machine only submits. */
  cpus: z
    .int()
    .min(0)
    .max(4_096)
    .default(() => availableParallelism()),
  /** Memory for all units together, MiB. Default: half of the machine's. */
  memoryMiB: z
    .int()
    .min(64)
    .default(() => Math.floor(totalmem() / 2 / 2 ** 20)),
  /** Disk for the mesh, MiB. */
  diskMiB: z.int().min(0).default(1_024),
  labels: z
    .record(nameSchema, nameSchema)
    .default({})
    .refine((labels) => Object.keys(labels).length <= LIMITS.AD_LABELS_MAX, {
      error: `${LIMITS.AD_LABELS_MAX} labels at most`,
    }),
  shares: sharesSchema.prefault({}),
  /** Addresses to listen on, as multiaddrs. Port 0: any free one. */
  listen: z.array(z.string()).default(['/ip4/0.0.0.0/tcp/0']),
  /** Addresses others should use instead, where they differ (a forwarded port). */
  announce: z.array(z.string()).default([]),
  /** This machine cannot be dialled; it dials out only. */
  outboundOnly: z.boolean().default(false),
  /** Find peers on the local network. */
  mdns: z.boolean().default(true),
  /** `light`: the DHT asks and tells 8 nodes of a thing, not 20. For many nodes on few or slow machines. */
  dht: z.enum(['full', 'light']).default('full'),
  /** A mesh founded by this node: `private` admits by token, `open` anyone, whose work runs sandboxed only. */
  mesh: z.enum(['private', 'open']).default('private'),
  /** Run strangers' work also where there is no bubblewrap. */
  strangersWithoutOsSandbox: z.boolean().default(false),
  /** Whose programs (`talkoot run -- PROGRAM`) are run here beside this machine's own: members', nobody's, or these peers'. */
  commands: z
    .union([z.enum(['members', 'nobody']), z.array(z.string()).max(LIMITS.SHARE_PEERS_MAX)])
    .default('members'),
  /** For whom Python scripts are run here: they need some 280 MiB a slot beside the memory of the unit. */
  python: z.enum(['nobody', 'members', 'everybody']).default('nobody'),
  /** Run programs in images (`talkoot run --image`) for those whose programs are run here, where podman works. */
  containers: z.boolean().default(true),
  /** Port of the local API; 0: any free one. */
  apiPort: z.int().min(0).max(65_535).default(0),
})
export type Settings = z.infer<typeof settingsSchema>
export type SettingsInput = z.input<typeof settingsSchema>

/** @throws E_CONFIG naming the setting */
export function loadSettings(file: string, flags: SettingsInput = {}): Settings {
  const parsed = settingsSchema.safeParse({ ...readConfig(file), ...flags })
  if (!parsed.success) throw new TalkootError('E_CONFIG', `${file}: ${faultText(parsed.error)}`)
  return parsed.data
}

function readConfig(file: string): object {
  if (!existsSync(file)) return {}
  let content: unknown
  try {
    content = JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new TalkootError('E_CONFIG', `${file} is not JSON: ${cause instanceof Error ? cause.message : ''}`, { cause })
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new TalkootError('E_CONFIG', `${file} must hold one JSON object`)
  }
  return content
}
