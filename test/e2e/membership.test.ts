/** Who gets in, who is kept out, and that both sides are told why. */

import { expect, it } from 'vitest'
import { decodeToken, encodeToken } from '../../protocol/membership/index.ts'
import { Lab } from './node-process.ts'

/** The coded error of a node that would not start. */
async function refusalOf(starting: Promise<unknown>): Promise<string> {
  const message = await starting.then(
    () => 'it started',
    (error: Error) => error.message,
  )
  return /\bE_[A-Z_]+/.exec(message)?.[0] ?? message
}

function withAnotherSecret(text: string): string {
  const token = decodeToken(text)
  if (token.grant === null) throw new Error('a token of a private mesh has a grant')
  return encodeToken({ ...token, grant: { ...token.grant, secret: new Uint8Array(16) } })
}

it('three nodes find each other through the DHT, the third told only the address of the second', async () => {
  await using lab = new Lab()
  const first = await lab.node('first')
  const second = await lab.node('second', ['--join', await first.token('--role', 'admin')])
  const third = await lab.node('third', ['--join', await second.token()])
  for (const node of [first, second, third]) await node.sees(3)
  const { peers } = await third.peers()
  expect(peers.map(({ name }) => name).sort()).toEqual(['first', 'second', 'third'])
  expect(peers.find(({ name }) => name === 'first')?.role).toBe('admin')
})

it('a token that is wrong, expired, revoked or used up admits nobody, and both sides say why', async () => {
  await using lab = new Lab()
  const host = await lab.node('host')
  const used = await host.token()
  await lab.node('welcome', ['--join', used])
  const expired = await host.token('--ttl', '1s')
  const revoked = await host.json<{ id: string; token: string }>(['token', 'create'])
  await host.run(['token', 'revoke', revoked.id])
  const stranger = await lab.node('stranger')
  const foreign = await stranger.token()
  const wrong = withAnotherSecret(await host.token())

  expect(await refusalOf(lab.node('wrong', ['--join', wrong]))).toBe('E_TOKEN_WRONG')
  expect(await refusalOf(lab.node('late', ['--join', used]))).toBe('E_TOKEN_USED')
  expect(await refusalOf(lab.node('revoked', ['--join', revoked.token]))).toBe('E_TOKEN_REVOKED')
  expect(await refusalOf(lab.node('expired', ['--join', expired]))).toBe('E_TOKEN_EXPIRED')
  expect(await refusalOf(lab.node('garbled', ['--join', used.slice(0, -9)]))).toBe('E_TOKEN_MALFORMED')
  // A token of another mesh leads there, never here.
  await lab.node('elsewhere', ['--join', foreign])

  const { peers, refused } = await host.peers()
  expect(peers.map(({ name }) => name).sort()).toEqual(['host', 'welcome'])
  expect(new Set(refused.map(({ code }) => code))).toEqual(
    new Set(['E_TOKEN_WRONG', 'E_TOKEN_USED', 'E_TOKEN_REVOKED', 'E_TOKEN_EXPIRED']),
  )
})

it('a token revoked with its members cuts them off', async () => {
  await using lab = new Lab()
  const host = await lab.node('host')
  const { id, token } = await host.json<{ id: string; token: string }>(['token', 'create'])
  const guest = await lab.node('guest', ['--join', token])
  await host.sees(2)
  const { code } = await host.run(['token', 'revoke', id, '--members', '--yes'])
  expect(code).toBe(0)
  await host.sees(1)
  await guest.sees(1)
})
