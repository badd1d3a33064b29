/** The local HTTP API: loopback only, one bearer token, bounded bodies, streams that follow their reader's pace. */

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import type { Logger } from 'pino'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { type Address, removeAddressFile, writeAddressFile } from './address-file.ts'
import { answerError, TRANSPORT_STATUS } from './answers.ts'
import { createApp } from './app.ts'
import type { NodeServices } from './services.ts'

type Components = { services: NodeServices; log: Logger }
type Init = {
  /** 0: any free one. */
  port: number
  /** Where the address is written while the server runs. */
  addressFile: string
}

const HOST = '127.0.0.1'
const TOKEN_BYTES = 32

export class ApiServer {
  readonly #components: Components
  readonly #init: Init
  #running: { server: Server; stopping: AbortController; address: Address } | null = null

  constructor(components: Components, init: Init) {
    this.#components = components
    this.#init = init
  }

  /** @throws E_PORT */
  async start(): Promise<Address> {
    if (this.#running !== null) return this.#running.address
    const token = randomBytes(TOKEN_BYTES).toString('base64url')
    const stopping = new AbortController()
    const { log } = this.#components
    const app = createApp(this.#components, { token, stopping: stopping.signal })
    const server = createServer(
      getRequestListener(app.fetch, {
        overrideGlobalObjects: false,
        errorHandler: (error) => {
          log.debug({ err: error }, 'a request that is not HTTP')
          return answerError(TalkootError.from(error, 'E_REQUEST'))
        },
      }),
    )
    server.maxConnections = LIMITS.API_CONNECTIONS_MAX
    server.on('clientError', (_error, socket) => socket.end(TRANSPORT_STATUS))
    const { port } = await listen(server, this.#init.port)
    const address = { url: `http://${HOST}:${port}`, token }
    writeAddressFile(this.#init.addressFile, address)
    this.#running = { server, stopping, address }
    return address
  }

  /** Ends open streams, lets answers under way be read, and closes. */
  async stop(): Promise<void> {
    if (this.#running === null) return
    const { server, stopping } = this.#running
    this.#running = null
    removeAddressFile(this.#init.addressFile)
    stopping.abort()
    const closed = once(server, 'close')
    server.close()
    const grace = setTimeout(() => server.closeAllConnections(), LIMITS.API_STOP_GRACE_MS)
    await closed
    clearTimeout(grace)
  }
}

async function listen(server: Server, port: number): Promise<AddressInfo> {
  server.listen(port, HOST)
  try {
    await once(server, 'listening')
  } catch (cause) {
    throw new TalkootError('E_PORT', `the local API cannot listen on ${HOST}:${port}`, { cause, meta: { port } })
  }
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TalkootError('E_INTERNAL', 'no address to listen on')
  return address
}
