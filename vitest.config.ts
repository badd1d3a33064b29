import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // For machines several times slower than ours: what is well does not wait for it.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    expect: { poll: { timeout: 60_000 } },
    // Real nodes and sandboxes on few cores: files one after the other, or timings mean nothing.
    fileParallelism: false,
    allowOnly: false,
  },
})
