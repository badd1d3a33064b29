/** What the operating system says about a file a person named, as a coded error. */

import { TalkootError } from '../../protocol/errors.ts'

const NO_SPACE = new Set(['ENOSPC', 'EDQUOT'])
const FILE_CODES = new Set([
  'ENOENT',
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOTDIR',
  'EISDIR',
  'EEXIST',
  'ENAMETOOLONG',
  'EIO',
  'EMFILE',
  'ELOOP',
])

/** Runs what reads or writes `file`; other errors pass as they are. @throws E_FILE, E_DISK_FULL */
export async function onFile<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!isSystemError(cause)) throw cause
    throw new TalkootError(NO_SPACE.has(cause.code) ? 'E_DISK_FULL' : 'E_FILE', `${file}: ${cause.message}`, { cause })
  }
}

function isSystemError(thrown: unknown): thrown is NodeJS.ErrnoException & { code: string } {
  const code = thrown instanceof Error ? (thrown as NodeJS.ErrnoException).code : undefined
  return code !== undefined && (NO_SPACE.has(code) || FILE_CODES.has(code))
}
