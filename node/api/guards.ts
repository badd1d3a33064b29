/** Who may speak to the local API. */

import { createHash, timingSafeEqual } from 'node:crypto'
import type { HttpBindings } from '@hono/node-server'
import { createMiddleware } from 'hono/factory'
import { TalkootError } from '../../protocol/errors.ts'

type Env = { Bindings: HttpBindings }

/**
 * Refuses requests for another host: a web page whose name is made to point at 127.0.0.1 (DNS rebinding) sends
 * its own name.
 */
export const loopbackOnly = createMiddleware<Env>(async (c, next) => {
  const { host } = c.env.incoming.headers
  const port = c.env.incoming.socket.localPort
  if (host !== `127.0.0.1:${port}` && host !== `localhost:${port}`) {
    throw new TalkootError('E_UNAUTHORIZED', 'this API answers to its loopback address only')
  }
  await next()
})

/** Asks for the bearer token of the address file. */
export const ownerOnly = (token: string) => {
  const expected = hash(`Bearer ${token}`)
  return createMiddleware<Env>(async (c, next) => {
    const given = c.env.incoming.headers.authorization ?? ''
    if (!timingSafeEqual(hash(given), expected)) {
      throw new TalkootError('E_UNAUTHORIZED', 'the bearer token is missing or not that of this node')
    }
    await next()
  })
}

/** Digests have one length: comparing them tells nothing about how much of the token was right. */
const hash = (text: string): Buffer => createHash('sha256').update(text).digest()
