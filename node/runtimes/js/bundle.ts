/** The harness as one JavaScript file, made from `harness/` when the node starts. */

import { chmod, writeFile } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

export type HarnessFiles = { harness: string; importMap: string }

/** Writes both files, readable to everyone, into the folder. */
export async function writeHarness(folder: string): Promise<HarnessFiles> {
  const files = { harness: join(folder, 'harness.js'), importMap: join(folder, 'imports.json') }
  const entry = fileURLToPath(new URL('./harness/main.ts', import.meta.url))
  // Asynchronous builds would leave esbuild's service running; this one takes some 60 ms, once.
  buildSync({
    entryPoints: [entry],
    outfile: files.harness,
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    target: 'esnext',
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'silent',
  })
  await writeFile(files.importMap, JSON.stringify({ imports: refusedImports() }))
  // Whatever the umask: units may run as another user.
  for (const file of Object.values(files)) await chmod(file, 0o644)
  return files
}

/** Deno's permissions do not cover its `node:` modules: each name leads to a module that throws. */
function refusedImports(): Record<string, string> {
  const refused = 'data:text/javascript,throw new Error("E_IMPORT")'
  const names = [...builtinModules, 'sqlite', 'sea', 'test', 'test/reporters'].map((name) => name.replace(/^node:/, ''))
  return Object.fromEntries(
    names.flatMap((name) => [
      [name, refused],
      [`node:${name}`, refused],
    ]),
  )
}
