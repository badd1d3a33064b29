/** Files, whoever keeps them, found as a shell finds them by a glob. */

/** `content`: all of its bytes, piece by piece. */
export type File = { type: 'file'; bytes: number; content(): Iterable<Uint8Array>; executable: boolean }
export type Folder = { type: 'folder'; names(): string[]; get(name: string): Found | undefined }
export type Found = File | Folder | { type: 'link' | 'device' | 'pipe' }
/** All but folders, with the path. */
export type Leaf = [path: string, found: Exclude<Found, Folder>]

/** The folder itself: all there is. */
const EVERYTHING = '.'

/** What a glob matches, folders too; if nothing, what has it for a name. */
export function matchesOf(root: Folder, glob: string): [path: string, found: Found][] {
  if (glob === EVERYTHING) return [['', root]]
  const names = glob.split('/')
  const matched = below(root, names.map(patternOf))
  return matched.length > 0 ? matched : below(root, names)
}

/** Everything below, in order: not by recursion, for it may be deep. */
export function* leavesOf(path: string, found: Found): Generator<Leaf> {
  const left: [string, Found][] = [[path, found]]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [at, one] = next
    if (one.type === 'folder') left.push(...entriesOf(at, one, one.names().sort().reverse()))
    else yield [at, one]
  }
}

function below(root: Folder, parts: readonly (string | RegExp)[]): [string, Found][] {
  let matched: [string, Found][] = [['', root]]
  for (const part of parts) {
    matched = matched.flatMap(([at, found]) => {
      if (found.type !== 'folder') return []
      const names = typeof part === 'string' ? [part] : found.names().filter((name) => part.test(name))
      return [...entriesOf(at, found, names)]
    })
  }
  return matched
}

function* entriesOf(at: string, folder: Folder, names: readonly string[]): Generator<[string, Found]> {
  for (const name of names) {
    const found = folder.get(name)
    if (found !== undefined) yield [at === '' ? name : `${at}/${name}`, found]
  }
}

const SPECIAL = /\[([!^]?)(\]?[^\]]*)\]|[\s\S]/gu

/** One name of a glob; what holds no `*`, `?` or `[` stands for itself. Hidden files are matched by what begins with a dot. */
function patternOf(name: string): string | RegExp {
  if (!/[*?[]/.test(name)) return name
  const text = name.replace(SPECIAL, (whole, not: string | undefined, set: string | undefined) => {
    if (set !== undefined) return `[${not === '' ? '' : '^'}${set.replace(/[\\[\]^&~]/g, '\\$&')}]`
    if (whole === '*') return '.*'
    return whole === '?' ? '.' : whole.replace(/[$()*+./?[\\\]^{|}]/, '\\$&')
  })
  try {
    return new RegExp(`^${name.startsWith('.') ? '' : '(?!\\.)'}${text}$`, 'su')
  } catch {
    // A range that ends before it begins.
    return name
  }
}
