/** The routes by which files of units leave the node: a description, then all bytes one after the other. */

import type { HttpBindings } from '@hono/node-server'
import type { Hono } from 'hono'
import { TREE_API } from '../../protocol/data/upload.ts'
import { digestSchema } from '../../protocol/manifest.ts'
import { parse } from './body.ts'
import type { NodeServices } from './services.ts'

const HEADERS = { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' }

export function unitFileRoutes(app: Hono<{ Bindings: HttpBindings }>, services: NodeServices): void {
  app.get(TREE_API.unitFiles(':digest'), async (c) => {
    const { description, release } = await services.unitFiles(parse(digestSchema, c.req.param('digest'), 'E_REQUEST'))
    release()
    return new Response(new Uint8Array(description), { headers: HEADERS })
  })
  app.get(TREE_API.unitFilesBytes(':digest'), async (c) => {
    const { layout, read, release } = await services.unitFiles(parse(digestSchema, c.req.param('digest'), 'E_REQUEST'))
    let next = 0
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          if (next < layout.chunks) return controller.enqueue(await read(next++))
          controller.close()
        } catch (error) {
          // The one way to say in mid-answer that it is not whole.
          controller.error(error)
        }
        release()
      },
      cancel: release,
    })
    return new Response(body, { headers: { ...HEADERS, connection: 'close' } })
  })
}
