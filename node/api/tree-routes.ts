/** The routes by which files come to the node: a description first, then chunks, which are streamed to their places. */

import type { HttpBindings } from '@hono/node-server'
import type { Hono } from 'hono'
import { chunksQuerySchema, TREE_API } from '../../protocol/data/upload.ts'
import { digestSchema } from '../../protocol/manifest.ts'
import { parse, readBody } from './body.ts'
import type { NodeServices } from './services.ts'

export function treeRoutes(app: Hono<{ Bindings: HttpBindings }>, services: NodeServices): void {
  app.put(TREE_API.tree(':digest'), async (c) => {
    const digest = parse(digestSchema, c.req.param('digest'), 'E_REQUEST')
    return c.json(await services.beginTree(digest, await readBody(c.env.incoming)))
  })
  app.put(TREE_API.chunks(':digest'), async (c) => {
    const digest = parse(digestSchema, c.req.param('digest'), 'E_REQUEST')
    const query = parse(chunksQuerySchema, c.req.query(), 'E_REQUEST')
    return c.json(await services.takeChunks(digest, query, c.env.incoming))
  })
}
