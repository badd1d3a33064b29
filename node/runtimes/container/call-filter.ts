/**
 * The system call filter of containers: podman's own list of what is allowed, less what programs of the machine are refused. Podman
 * allows keyrings, which all users of one number on this machine share, user namespaces, memory that no process is seen to use,
 * and sockets to whoever runs this machine.
 */

import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { TalkootError } from '../../../protocol/errors.ts'
import { CLONE_NEWUSER, refusedCalls, SOCKET_FAMILIES } from '../seccomp.ts'

/** Where podman has it: containers.conf(5), `seccomp_profile`. */
const PROFILES = ['/etc/containers/seccomp.json', '/usr/share/containers/seccomp.json']
const ALLOW = 'SCMP_ACT_ALLOW'

const profileSchema = z.looseObject({
  defaultAction: z.literal('SCMP_ACT_ERRNO'),
  // Calls of 32 bits go by other numbers, some by one for many, whose arguments no filter can read.
  archMap: z.array(z.looseObject({ subArchitectures: z.array(z.string()).transform(() => []) })),
  syscalls: z.array(z.looseObject({ names: z.array(z.string()), action: z.string() })),
})

/** An argument, by its number, of whose bits under a mask only this is allowed. */
type Argument = { index: number; mask: number; is: number }

/** Calls of which podman allows more. Without `clone3`, whose flags no filter can read, the C library falls back to `clone`. */
const JUDGED: readonly [call: string, ...allowed: Argument[]][] = [
  ['clone', { index: 0, mask: CLONE_NEWUSER, is: 0 }],
  ['clone3'],
  // Not MAP_ANONYMOUS, or MAP_PRIVATE.
  ['mmap', { index: 3, mask: 0x20, is: 0 }, { index: 3, mask: 0x0f, is: 0x02 }],
  ['socket', ...SOCKET_FAMILIES.map((family) => ({ index: 0, mask: 0xffffffff, is: family }))],
]

/** As podman takes it, JSON. @throws E_CONTAINER_UNUSABLE when podman's own is missing, or is no list of permissions */
export async function callFilter(): Promise<string> {
  const profile = profileSchema.safeParse(JSON.parse(await firstThatIs(PROFILES)))
  if (!profile.success) throw unusable('its system call filter is no list of permissions')
  const refused = new Set([...refusedCalls, ...JUDGED.map(([call]) => call)])
  const theirs = profile.data.syscalls
    .map((rule) => ({ ...rule, names: rule.names.filter((name) => !refused.has(name)) }))
    .filter(({ names }) => names.length > 0)
  const ours = JUDGED.flatMap(([call, ...allowed]) =>
    allowed.map(({ index, mask, is }) => {
      const argument = { index, value: mask, valueTwo: is, op: 'SCMP_CMP_MASKED_EQ' }
      return { names: [call], action: ALLOW, args: [argument] }
    }),
  )
  return JSON.stringify({ ...profile.data, syscalls: [...theirs, ...ours] })
}

async function firstThatIs(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch(() => null)
    if (text !== null) return text
  }
  throw unusable(`there is no ${paths.at(-1)}, which comes with podman`)
}

const unusable = (why: string): TalkootError => new TalkootError('E_CONTAINER_UNUSABLE', why)
