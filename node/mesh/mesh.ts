/** What the rest of the node sees of the mesh: admitted peers, framed channels, rendezvous. */

import type { Ad } from '../../protocol/ad.ts'
import type { ErrorCode } from '../../protocol/errors.ts'
import type { Role } from '../../protocol/membership/roles.ts'

/** A peer whose handshake is done and whose ad is verified. */
export type AdmittedPeer = { id: string; role: Role; ad: Ad; direction: 'inbound' | 'outbound'; address: string }

/** A peer that others told of and that is not connected: its own word of what it offers, theirs of when it last gave a sign of life. */
export type HeardPeer = Pick<AdmittedPeer, 'id' | 'role' | 'ad'> & { silentMs: number }

/**
 * A stream of whole frames to one peer with credits: `send` waits while the peer has not granted room,
 * iteration grants room as frames are taken. Ends with the stream; a violation ends it with a coded error.
 */
export interface Channel extends AsyncIterable<Uint8Array> {
  readonly peer: string
  send(frame: Uint8Array): Promise<void>
  close(): Promise<void>
  /** Tears it down at once and tells the log why. */
  abort(code: ErrorCode, message: string): void
}

export type MeshEvent =
  | { type: 'peer.joined'; peer: AdmittedPeer }
  | { type: 'peer.ad'; peer: AdmittedPeer }
  | { type: 'peer.left'; id: string; code: ErrorCode }

export interface Mesh {
  readonly peerId: string
  readonly meshId: string
  /** Peers admitted and connected now. */
  peers(): AdmittedPeer[]
  /** Those of whom members told within the last half minute: they are being dialled. */
  heardOf(): HeardPeer[]
  /** Calls back on each change until the signal aborts. */
  watch(listener: (event: MeshEvent) => void, signal: AbortSignal): void
  /** Opens a channel to a connected peer. @throws E_UNREACHABLE, E_NOT_MEMBER */
  open(peer: string, protocol: string, signal: AbortSignal): Promise<Channel>
  /** Serves a protocol to admitted peers. A handler that throws ends its channel only. */
  serve(protocol: string, handler: (channel: Channel, peer: AdmittedPeer) => Promise<void>): void
  /** Say on the DHT that this node has work to give (or no longer). */
  wantWork(wanted: boolean): void
  /** Ends the connection and keeps the reason. */
  disconnect(peer: string, code: ErrorCode): void
}
