import { describe, expect, it } from 'vitest'
import { statePaths } from '../../protocol/home.ts'

describe('where a node keeps its files', () => {
  it('is one folder with TALKOOT_HOME', () => {
    expect(statePaths({ TALKOOT_HOME: '/srv/node', HOME: '/home/ada', XDG_STATE_HOME: '/state' })).toEqual({
      state: '/srv/node',
      config: '/srv/node/config.json',
      api: '/srv/node/api.json',
      ledger: '/srv/node/ledger.sqlite',
      blobs: '/srv/node/blobs',
      trees: '/srv/node/trees',
      unitFiles: '/srv/node/unit-files',
      checkpoints: '/srv/node/checkpoints',
      log: '/srv/node/node.log',
    })
    expect(statePaths({ TALKOOT_HOME: 'near' }).state).toBe(`${process.cwd()}/near`)
  })

  it('else follows the XDG folders, ignoring relative ones', () => {
    expect(statePaths({ HOME: '/home/ada' })).toMatchObject({
      state: '/home/ada/.local/state/talkoot',
      config: '/home/ada/.config/talkoot/config.json',
    })
    const env = { HOME: '/home/ada', XDG_STATE_HOME: '/state', XDG_CONFIG_HOME: 'relative' }
    expect(statePaths(env)).toMatchObject({
      api: '/state/talkoot/api.json',
      config: '/home/ada/.config/talkoot/config.json',
    })
  })
})
