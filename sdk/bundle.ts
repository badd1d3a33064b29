/**
 * A task module and what it imports as one text, the same on every machine: no paths, no clock, no names of this
 * machine. The text is CommonJS whose `exports.default` is a function `(params, context)` or `{ run, agree? }`.
 */

import { stat } from 'node:fs/promises'
import { basename, dirname, extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compileFunction } from 'node:vm'
import { type BuildFailure, build, type Message, type Plugin } from 'esbuild'
import { TalkootError } from '../protocol/errors.ts'
import type { Task } from './task.ts'
import { type TaskBundle, taskBundle } from './task-bundle.ts'

/**
 * Bundles a module (TypeScript or JavaScript) for the sandbox.
 * @throws E_TASK_INVALID (no such file, no default export that is a task), E_TASK_BUNDLE (the words of esbuild),
 *   E_TASK_TOO_BIG
 */
export async function bundleTask(module: URL | string): Promise<TaskBundle> {
  const file = module instanceof URL || module.startsWith('file:') ? fileURLToPath(module) : module
  const facts = await stat(file).catch(() => undefined)
  if (!facts?.isFile()) throw new TalkootError('E_TASK_INVALID', `there is no file ${file}`)
  const text = await bundleText(file)
  return taskBundle('js', text, { agreement: agreementOf(text, file) })
}

/** The entry only passes the default export on: esbuild then says if there is none, and drops every other export. */
const ENTRY = 'entry'

/** The sandbox's global object takes no new properties; libraries that keep some there get an heir of it, new for each unit. */
const OWN_GLOBAL = 'talkootGlobal'

async function bundleText(file: string): Promise<string> {
  try {
    const { outputFiles } = await build({
      stdin: {
        contents: `export { default } from ${JSON.stringify(`./${basename(file)}`)}`,
        resolveDir: dirname(file),
        sourcefile: ENTRY,
      },
      absWorkingDir: dirname(file),
      bundle: true,
      write: false,
      format: 'cjs',
      // What a module finds in a browser is nearest to what it finds in the sandbox; built-ins of Node do not resolve.
      platform: 'browser',
      target: 'esnext',
      // `a ** b` becomes Math.pow, which the sandbox replaces by one that does not depend on the CPU.
      supported: { 'exponent-operator': false },
      // Names and comments would hold paths of this machine.
      minify: true,
      legalComments: 'none',
      charset: 'utf8',
      define: {
        'import.meta.url': 'undefined',
        'process.env.NODE_ENV': '"production"',
        globalThis: OWN_GLOBAL,
        global: OWN_GLOBAL,
      },
      banner: { js: `var ${OWN_GLOBAL}=Object.create(globalThis);` },
      logLevel: 'silent',
      plugins: [taskSideOfSdk],
    })
    return outputFiles[0]?.text ?? ''
  } catch (cause) {
    throw refusal(cause, file)
  }
}

const here = (name: string): string => fileURLToPath(new URL(`./${name}${extname(import.meta.url)}`, import.meta.url))

const INSTEAD = 'a task has its parameters and no files or network; a program has (docs/programs.md)'

/** Inside a task, `talkoot` is what tasks need of it and not the whole SDK. */
const taskSideOfSdk: Plugin = {
  name: 'task side of the SDK',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^talkoot$/ }, () => ({ path: here('task') }))
    onResolve({ filter: /^node:/ }, ({ path }) => ({
      errors: [{ text: `${path} is not there in a sandbox: ${INSTEAD}` }],
    }))
    onLoad({ filter: /[/\\]index\.[jt]s$/ }, ({ path }) =>
      path === here('index') ? { contents: 'export * from "talkoot"' } : undefined,
    )
  },
}

function refusal(cause: unknown, file: string): TalkootError {
  const errors = isBuildFailure(cause) ? cause.errors : []
  if (errors.some((error) => error.location?.file === ENTRY)) {
    return new TalkootError('E_TASK_INVALID', `${file} has no default export`, { cause })
  }
  const message = errors.length > 0 ? errors.map(describe).join('\n') : String(cause)
  return new TalkootError('E_TASK_BUNDLE', message, { cause })
}

const isBuildFailure = (cause: unknown): cause is BuildFailure => cause instanceof Error && 'errors' in cause

const describe = ({ text, location }: Message): string =>
  location === null ? text : `${location.file}:${location.line}:${location.column}: ${text}`

/** Loads the bundle as the sandbox will, to find what it exports. It is the caller's own code. */
function agreementOf(source: string, file: string): TaskBundle['agreement'] {
  const module: { exports: { default?: unknown } } = { exports: {} }
  try {
    compileFunction(source, ['module', 'exports', 'require'])(module, module.exports, undefined)
  } catch (cause) {
    throw new TalkootError('E_TASK_INVALID', `${file} threw while loading: ${String(cause)}`, { cause })
  }
  const task = module.exports.default
  if (typeof task === 'function') return 'exact'
  if (typeof task !== 'object' || task === null || !('run' in task) || typeof task.run !== 'function') {
    throw new TalkootError('E_TASK_INVALID', `the default export of ${file} is no function and has no \`run\``)
  }
  if ('agreement' in task) return (task as Task<never, unknown>).agreement
  return 'agree' in task && typeof task.agree === 'function' ? 'function' : 'exact'
}
