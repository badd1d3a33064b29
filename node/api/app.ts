/** The routes of the local API. */

import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import type { Logger } from 'pino'
import { z } from 'zod'
import {
  API,
  jobQuerySchema,
  jobRequestSchema,
  pauseRequestSchema,
  removalRequestSchema,
  resultsQuerySchema,
  retryRequestSchema,
  type Stopping,
} from '../../protocol/api.ts'
import { tokenRequestSchema } from '../../protocol/api-tokens.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { digestSchema } from '../../protocol/manifest.ts'
import { peerVerdictSchema, ruleRequestSchema } from '../../protocol/peer-rules.ts'
import { planRequestSchema } from '../../protocol/plan.ts'
import { answerError } from './answers.ts'
import { parse, readBody, readJson } from './body.ts'
import { loopbackOnly, ownerOnly } from './guards.ts'
import type { NodeServices } from './services.ts'
import { eventStream, lineOf, lineStream } from './streams.ts'
import { treeRoutes } from './tree-routes.ts'
import { unitFileRoutes } from './unit-file-routes.ts'

type Components = { services: NodeServices; log: Logger }
type Init = { token: string; stopping: AbortSignal }
type Env = { Bindings: HttpBindings }

/** A connection that ends with its stream does not hold up a server that stops. */
const STREAM_HEADERS = { 'cache-control': 'no-store', connection: 'close' }
const unitSchema = z.coerce.number().int().min(0)
const verdictQuerySchema = z.object({ verdict: peerVerdictSchema })
const membersQuerySchema = z.object({ members: z.stringbool().default(false) })

export function createApp({ services, log }: Components, { token, stopping }: Init): Hono<Env> {
  const app = new Hono<Env>()
  app.use(loopbackOnly, ownerOnly(token))
  app.onError((error) => {
    if (!(error instanceof TalkootError)) log.error({ err: error }, 'a request failed')
    return answerError(error)
  })
  app.notFound((c) => answerError(new TalkootError('E_NOT_FOUND', `no ${c.req.method} ${c.req.path} in this API`)))

  nodeRoutes(app, services)
  tokenRoutes(app, services)
  treeRoutes(app, services)
  unitFileRoutes(app, services)
  jobRoutes(app, services)
  streamRoutes(app, services, { log, stopping })
  return app
}

function nodeRoutes(app: Hono<Env>, services: NodeServices): void {
  app.get(API.status, (c) => c.json(services.status()))
  app.get(API.peers, (c) => c.json(services.peers()))
  app.get(`${API.peers}/:id`, (c) => c.json(services.peer(c.req.param('id'))))
  app.get(`${API.peers}/:id/explanation`, (c) => c.json(services.explainPeer(c.req.param('id'))))
  app.get(API.evidence, (c) => c.json(services.evidence()))
  ruleRoutes(app, services, 'peer', `${API.peers}/:who/rule`)
  ruleRoutes(app, services, 'operator', '/v1/operators/:who/rule')
  app.put('/v1/blobs/:digest', async (c) => {
    const digest = parse(digestSchema, c.req.param('digest'), 'E_REQUEST')
    return c.json(services.putBlob(digest, await readBody(c.env.incoming)))
  })
  app.post(API.pause, async (c) => {
    return c.json(services.pause(parse(pauseRequestSchema, await readJson(c.env.incoming), 'E_USAGE').forMs))
  })
  app.post(API.resume, (c) => c.json(services.resume()))
  app.post(API.down, (c) => {
    // Once the answer is out: whoever asked must hear that it was heard.
    c.env.outgoing.once('close', () => services.requestStop())
    c.header('connection', 'close')
    return c.json({ schema: 'talkoot.stopping/1', pid: process.pid } satisfies Stopping)
  })
}

function ruleRoutes(app: Hono<Env>, services: NodeServices, kind: 'peer' | 'operator', path: string): void {
  app.put(path, async (c) => {
    const request = parse(ruleRequestSchema, await readJson(c.env.incoming), 'E_USAGE')
    return c.json(services.setPeerRule({ kind, who: c.req.param('who') ?? '' }, request))
  })
  app.delete(path, (c) => {
    const { verdict } = parse(verdictQuerySchema, c.req.query(), 'E_REQUEST')
    return c.json(services.clearPeerRule({ kind, who: c.req.param('who') ?? '' }, verdict))
  })
}

function tokenRoutes(app: Hono<Env>, services: NodeServices): void {
  app.get(API.tokens, (c) => c.json(services.tokens()))
  app.post(API.tokens, async (c) => {
    const request = parse(tokenRequestSchema, await readJson(c.env.incoming), 'E_USAGE')
    return c.json(await services.createToken(request))
  })
  app.delete(`${API.tokens}/:id`, async (c) => {
    const options = parse(membersQuerySchema, c.req.query(), 'E_REQUEST')
    return c.json(await services.revokeToken(c.req.param('id'), options))
  })
}

function jobRoutes(app: Hono<Env>, services: NodeServices): void {
  app.post(API.plan, async (c) => {
    return c.json(services.plan(parse(planRequestSchema, await readJson(c.env.incoming), 'E_JOB_INVALID')))
  })
  app.get(API.jobs, (c) => c.json(services.jobs()))
  app.post(API.jobs, async (c) => {
    const options = parse(jobQuerySchema, c.req.query(), 'E_REQUEST')
    const request = parse(jobRequestSchema, await readJson(c.env.incoming), 'E_JOB_INVALID')
    return c.json(await services.submit(request, options))
  })
  app.post(API.removals, async (c) => {
    const { jobs } = parse(removalRequestSchema, await readJson(c.env.incoming), 'E_REQUEST')
    return c.json(services.remove(jobs))
  })
  app.get(`${API.jobs}/:id`, (c) => c.json(services.job(c.req.param('id'))))
  app.delete(`${API.jobs}/:id`, async (c) => c.json(await services.cancel(c.req.param('id'))))
  app.get(`${API.jobs}/:id/explanation`, (c) => c.json(services.explainJob(c.req.param('id'))))
  app.get(`${API.jobs}/:id/units/:unit/explanation`, (c) => {
    const unit = parse(unitSchema, c.req.param('unit'), 'E_REQUEST')
    return c.json(services.explainUnit(c.req.param('id'), unit))
  })
  app.get(`${API.jobs}/:id/units/:unit/logs`, (c) => {
    const unit = parse(unitSchema, c.req.param('unit'), 'E_REQUEST')
    return c.json(services.logs(c.req.param('id'), unit))
  })
  app.post(`${API.jobs}/:id/retry`, async (c) => {
    const options = parse(jobQuerySchema, c.req.query(), 'E_REQUEST')
    const request = parse(retryRequestSchema, await readJson(c.env.incoming), 'E_JOB_INVALID')
    return c.json(await services.retry(c.req.param('id'), request, options))
  })
  app.post(`${API.jobs}/:id/hold`, (c) => c.json(services.hold(c.req.param('id'))))
  app.post(`${API.jobs}/:id/release`, (c) => c.json(services.release(c.req.param('id'))))
}

function streamRoutes(app: Hono<Env>, services: NodeServices, init: { log: Logger; stopping: AbortSignal }): void {
  const options = (c: Context<Env>) => ({
    stopping: init.stopping,
    onError: (error: unknown) => {
      init.log.error({ err: error }, 'a stream broke')
      // The one way to say in mid-answer that it is not whole.
      c.env.outgoing.destroy()
    },
  })
  // The job is looked up before the stream begins: an id that is not known is answered with a status.
  app.get(`${API.jobs}/:id/events`, (c) => {
    const { id } = services.job(c.req.param('id'))
    return new Response(
      eventStream((signal) => services.watchJob(id, signal), options(c)),
      { headers: { ...STREAM_HEADERS, 'content-type': 'text/event-stream' } },
    )
  })
  app.get(`${API.jobs}/:id/results`, (c) => {
    const query = parse(resultsQuerySchema, c.req.query(), 'E_REQUEST')
    const { id } = services.job(c.req.param('id'))
    return new Response(
      lineStream(
        (signal) => services.results(id, query, signal),
        options(c),
        (rows) => rows.map(lineOf).join(''),
      ),
      { headers: { ...STREAM_HEADERS, 'content-type': 'application/x-ndjson' } },
    )
  })
  app.get(`${API.jobs}/:id/units/:unit/output`, (c) => {
    const unit = parse(unitSchema, c.req.param('unit'), 'E_REQUEST')
    const { job } = services.explainUnit(c.req.param('id'), unit)
    return new Response(
      lineStream((signal) => services.follow(job, unit, signal), options(c)),
      { headers: { ...STREAM_HEADERS, 'content-type': 'application/x-ndjson' } },
    )
  })
  app.post(`${API.jobs}/:id/units/:unit/reproduction`, (c) => {
    const unit = parse(unitSchema, c.req.param('unit'), 'E_REQUEST')
    const { id } = services.job(c.req.param('id'))
    return new Response(lineStream(services.reproduce(id, unit), options(c)), {
      headers: { ...STREAM_HEADERS, 'content-type': 'application/x-ndjson' },
    })
  })
  app.get(`${API.jobs}/:id/receipts`, (c) => {
    const { id } = services.job(c.req.param('id'))
    return new Response(
      lineStream((signal) => services.receipts(id, signal), options(c), String),
      { headers: { ...STREAM_HEADERS, 'content-type': 'application/x-ndjson' } },
    )
  })
}
