/** The harness as one JavaScript file, made from `harness/` when the program is built, or when its sources are run as they are. */

import { chmod, writeFile } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type HarnessFiles = { harness: string; importMap: string }

/** Writes both files, readable to everyone, into the folder. */
export async function writeHarness(folder: string): Promise<HarnessFiles> {
  const files = { harness: join(folder, 'harness.js'), importMap: join(folder, 'imports.json') }
  await writeFile(files.harness, typeof BUILT_HARNESS === 'undefined' ? await harnessText() : BUILT_HARNESS)
  await writeFile(files.importMap, JSON.stringify({ imports: refusedImports() }))
  // Whatever the umask: units may run as another user.
  for (const file of Object.values(files)) await chmod(file, 0o644)
  return files
}

/** Written in by `bin/build.js`. */
declare const BUILT_HARNESS: string | undefined

export const harnessText = (): Promise<string> => bundleForSandbox(new URL('./harness/main.ts', import.meta.url))

/** One file for Deno. `external`: what it imports there from files beside it. */
export async function bundleForSandbox(entry: URL, external: string[] = []): Promise<string> {
  // Loaded here only: esbuild and its worker thread would stay with the node for as long as it lives.
  const { buildSync } = await import('esbuild')
  const { outputFiles } = buildSync({
    entryPoints: [fileURLToPath(entry)],
    bundle: true,
    write: false,
    external,
    loader: { '.py': 'text' },
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    target: 'esnext',
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'silent',
  })
  return outputFiles[0]?.text ?? ''
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
