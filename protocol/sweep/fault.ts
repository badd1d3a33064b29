/** What can be wrong with a sweep, said with the path of the wrong part. */

import { TalkootError } from '../errors.ts'

export const invalid = (path: string, message: string): TalkootError =>
  new TalkootError('E_SWEEP_INVALID', `${path} ${message}`, { meta: { path } })

export const tooBig = (path: string, message: string): TalkootError =>
  new TalkootError('E_SWEEP_TOO_BIG', `${path} ${message}`, { meta: { path } })
