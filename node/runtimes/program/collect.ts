/**
 * Files a program wrote, collected where it ran when it has ended well and nothing of it runs any more: a shell packs what its globs
 * match. They come out through a pipe of their own, which the program is not given: a line, then a tar archive.
 */

import { TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { UnitFile } from '../runtime.ts'
import { filesOfTar } from '../tar.ts'
import { INPUTS_FOLDER } from './surroundings.ts'

/** `out`: the descriptor of the pipe. */
export type Collecting = { out: number; globs: readonly string[] }

/** What is started in place of a program, in the sandbox, where it ends whatever the program left running. */
export function collectedLine(argv: readonly string[], { out, globs }: Collecting): string[] {
  const script = `
(exec "$@" ${out}>&-)
code=$?
[ $code = 0 ] || exit $code
kill -9 -1 2>/dev/null
exec >&${out} ${out}>&-
${FORGET_GIVEN}
${packScript(globs)}
`
  return ['/bin/sh', '-c', script, 'sh', ...argv]
}

/** What was given is not given back. It is there by links; what the unit has put in the place of one is its own. */
export const FORGET_GIVEN = `/usr/bin/find . -maxdepth 1 -type l -lname '${INPUTS_FOLDER}/*' -delete`

/** Run in the folder of the unit. Globs are only ever expanded as names of files. */
export const packScript = (globs: readonly string[]): string => `
IFS=
set -- ${globs.map(quoted).join(' ')}
for glob do
  for path in $glob; do break; done
  [ -e "$path" ] || [ -L "$path" ] || { printf '%s\\n' "$glob"; exit 0; }
done
echo
here=$PWD
for glob do
  for path in $glob; do
    folder=\${path%/*}
    [ "$folder" = "$path" ] || [ "$folder" = "$known" ] || {
      known=$folder
      plain=$(cd -P -- "$folder" && pwd -P)
    }
    # What lies behind a link is not followed: packed from the top, it is the link that is found.
    [ "$folder" = "$path" ] || [ "$plain" = "$here/$folder" ] || path=\${path%%/*}
    printf '%s\\0' "$path"
  done
done |
  env -i /usr/bin/tar --create --format=gnu --null --verbatim-files-from --files-from=-
`

/**
 * What came through the pipe; null: the program did not end well.
 * @throws E_OUTPUT_MISSING, E_TREE when it is longer than any archive of such files, and what `filesOfTar` throws
 */
export async function collectedFiles(pipe: AsyncIterable<Uint8Array>): Promise<AsyncGenerator<UnitFile> | null> {
  const parts = pipe[Symbol.asyncIterator]()
  let begun: Buffer = Buffer.alloc(0)
  while (!begun.includes('\n')) {
    const { value, done } = await parts.next()
    if (done === true) return null
    begun = Buffer.concat([begun, value])
    if (begun.length > LIMITS.FILE_PATH_MAX_BYTES && !begun.includes('\n'))
      throw new TalkootError('E_TREE', 'a glob is too long')
  }
  const end = begun.indexOf('\n')
  const missing = begun.toString('utf8', 0, end)
  if (missing !== '') throw new TalkootError('E_OUTPUT_MISSING', `it wrote no ${JSON.stringify(missing)}`)
  return filesOfTar(after(begun.subarray(end + 1), parts))
}

async function* after(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  let room = LIMITS.UNIT_ARCHIVE_MAX_BYTES - first.length
  if (first.length > 0) yield first
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
    room -= next.value.length
    if (room < 0)
      throw new TalkootError('E_TREE', `its files are an archive of over ${LIMITS.UNIT_ARCHIVE_MAX_BYTES} bytes`)
    yield next.value
  }
}

export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
