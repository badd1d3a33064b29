/**
 * The system call filter of containers: podman's own list of what is allowed, less what programs of the machine are refused. Podman
 * allows keyrings, which all users of one number on this machine share, and user namespaces.
 */

import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { TalkootError } from '../../../protocol/errors.ts'
import { CLONE_NEWUSER, refusedCalls } from '../seccomp.ts'

/** Where podman has it: containers.conf(5), `seccomp_profile`. */
const PROFILES = ['/etc/containers/seccomp.json', '/usr/share/containers/seccomp.json']
const ALLOW = 'SCMP_ACT_ALLOW'

const profileSchema = z.looseObject({
  defaultAction: z.literal('SCMP_ACT_ERRNO'),
  syscalls: z.array(z.looseObject({ names: z.array(z.string()), action: z.string() })),
})

/** As podman takes it, JSON. @throws E_CONTAINER_UNUSABLE when podman's own is missing, or is no list of permissions */
export async function callFilter(): Promise<string> {
  const profile = profileSchema.safeParse(JSON.parse(await firstThatIs(PROFILES)))
  if (!profile.success) throw unusable('its system call filter is no list of permissions')
  // Without `clone3`, whose flags no filter can read, the C library falls back to `clone`.
  const refused = new Set([...refusedCalls, 'clone', 'clone3'])
  const syscalls = profile.data.syscalls.map((rule) =>
    rule.action === ALLOW ? { ...rule, names: rule.names.filter((name) => !refused.has(name)) } : rule,
  )
  const ofNoUser = { index: 0, value: CLONE_NEWUSER, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }
  const clone = { names: ['clone'], action: ALLOW, args: [ofNoUser] }
  return JSON.stringify({ ...profile.data, syscalls: [...syscalls.filter(({ names }) => names.length > 0), clone] })
}

async function firstThatIs(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch(() => null)
    if (text !== null) return text
  }
  throw unusable(`there is no ${paths.at(-1)}, which comes with podman`)
}

const unusable = (why: string): TalkootError => new TalkootError('E_CONTAINER_UNUSABLE', why)
