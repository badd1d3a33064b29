/** `node build.js FOLDER`: builds the program of this checkout into a folder. */

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { harnessText } from '../node/runtimes/js/bundle.ts'
import { pythonPrograms } from '../node/runtimes/python/bundle.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const [folder] = process.argv.slice(2)

/** Not where it is a text. */
const EXPRESSION = /(?<!['"`])\bimport\.meta\.url\b/g

/** Sources that look for files beside them go on finding them. */
const staysInPlace = {
  name: 'import.meta.url of the source',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      const url = JSON.stringify(pathToFileURL(path).href)
      return { contents: text.replace(EXPRESSION, () => url), loader: 'ts' }
    })
  },
}

/**
 * Node gives V8 two bytes for each character of a module that has one beyond ASCII, and esbuild leaves those of regular
 * expressions as they are.
 */
const asAscii = (text) =>
  text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

const { outputFiles } = await build({
  entryPoints: [join(root, 'node', 'cli', 'main.ts')],
  absWorkingDir: root,
  outdir: folder,
  bundle: true,
  // What only a node needs is not read by the verbs that only ask one.
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  // These find files of their own by where they are.
  external: ['esbuild', 'pino', 'msgpackr-extract'],
  banner: { js: `import{createRequire as requireFrom}from'node:module';const require=requireFrom(import.meta.url);` },
  minifyWhitespace: true,
  charset: 'ascii',
  legalComments: 'none',
  sourcemap: 'linked',
  define: {
    BUILT_HARNESS: JSON.stringify(await harnessText()),
    BUILT_PYTHON_PROGRAMS: JSON.stringify(await pythonPrograms()),
  },
  plugins: [staysInPlace],
  write: false,
})
await mkdir(folder, { recursive: true })
for (const { path, text } of outputFiles) await writeFile(path, path.endsWith('.js') ? asAscii(text) : text)
