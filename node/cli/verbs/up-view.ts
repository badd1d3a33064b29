/** What a person wants to know when the node is up. */

import { fileURLToPath } from 'node:url'
import type { Status } from '../../../protocol/api.ts'
import type { Colours } from '../render/colours.ts'
import { bytes, plural } from '../render/figures.ts'
import type { View } from '../render/view.ts'

/** From whatever folder it is run. */
const EXAMPLE = fileURLToPath(new URL('../../../examples/pi/pi.task.ts', import.meta.url))

export type UpFacts = {
  schema: 'talkoot.up/1'
  status: Status
  /** The mesh was founded just now. */
  founded: boolean
  /** The mesh was joined by a token just now. */
  joined: boolean
  /** For the first machine to join; made with the mesh only. */
  token: string | null
  /** Where the node writes what it does. */
  log: string
}

export const upView: View<UpFacts> = {
  ids: ({ status }) => [status.peer],
  text(facts, { colours }) {
    const { status } = facts
    const yes = colours.green('✔')
    const lines = [
      `${yes} Identity   ${status.name} (${shortPeer(status.peer)})`,
      offering(status, colours),
      sandbox(status, colours),
      `${yes} Network    ${network(status)}`,
      `${yes} Mesh       ${mesh(facts)}`,
      ...status.warnings.map((warning) => `${colours.yellow('!')} ${warning}`),
      `  API        ${status.url}`,
      `  Log        ${facts.log}`,
    ]
    const invitation = facts.token ?? status.mesh.invitation
    if (invitation !== null) {
      const terms = facts.token === null ? '' : colours.dim('  (single use, 24 h)')
      lines.push(`  Add machine  talkoot up --join ${invitation}${terms}`)
    } else if (status.mesh.role === 'admin') lines.push('  Add machine  talkoot token create')
    lines.push(`  Try it       talkoot run ${EXAMPLE} --param batch=0:20:1 --param n=1e6`)
    return lines.join('\n')
  },
}

function offering({ offering }: Status, colours: Colours): string {
  const { slots, memory, disk } = offering
  if (slots === 0) return `${colours.yellow('!')} Offering   nothing: this machine only submits`
  return `${colours.green('✔')} Offering   ${plural(slots, 'core')} · ${bytes(memory)} · ${bytes(disk)} disk`
}

function sandbox({ confinement, runtimes }: Status, colours: Colours): string {
  const runtime = runtimes.flatMap(({ kind, version }) => (kind === 'js' ? [`deno ${version}`] : [])).join()
  if (confinement === 'os') return `${colours.green('✔')} Sandbox    ${runtime} in bubblewrap: probed, on`
  if (confinement === 'runtime') return `${colours.yellow('!')} Sandbox    ${runtime} alone: probed, weaker`
  return `${colours.red('✖')} Sandbox    none works: run \`talkoot doctor\``
}

function network({ listen, peers }: Status): string {
  const ports = [...new Set(listen.map((address) => /\/tcp\/(\d+)/.exec(address)?.[1]).filter((port) => port))]
  const where = ports.length === 0 ? 'dials out only' : `tcp ${ports.join(', ')}`
  return `${where} · ${plural(peers, 'peer')} connected`
}

function mesh({ status, founded, joined }: UpFacts): string {
  const { kind, fingerprint, role } = status.mesh
  if (joined) return `fingerprint ${fingerprint} matches the token · joined as ${role}`
  const who = kind === 'private' ? 'only members you admit can run work here' : 'anyone may join, sandboxed work only'
  return founded
    ? `new ${kind} mesh "${status.name}", fingerprint ${fingerprint}: ${who}`
    : `${kind}, fingerprint ${fingerprint} · ${role} of it`
}

const shortPeer = (id: string): string => `${id.slice(0, 8)}…${id.slice(-4)}`
