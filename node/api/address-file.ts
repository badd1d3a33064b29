/** The address file: how the CLI and the SDK of this user find the running node. */

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressFile, addressFileSchema } from '../../protocol/api.ts'

export type Address = { url: string; token: string }

/** Written whole or not at all, and readable by its owner only. */
export function writeAddressFile(path: string, { url, token }: Address): void {
  const content: AddressFile = { schema: 'talkoot.api/1', url, token, pid: process.pid }
  const part = `${path}.${process.pid}.part`
  rmSync(part, { force: true })
  writeFileSync(part, `${JSON.stringify(content)}\n`, { mode: 0o600, flag: 'wx' })
  renameSync(part, path)
}

/** Leaves a file that another node has written since. */
export function removeAddressFile(path: string): void {
  if (readAddressFile(path)?.pid === process.pid) rmSync(path, { force: true })
}

/** Null when there is none, or none that can be read: no node runs. */
export function readAddressFile(path: string): AddressFile | null {
  try {
    return addressFileSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return null
  }
}
