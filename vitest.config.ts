import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Real nodes and sandboxes on few cores: files one after the other, or timings mean nothing.
    fileParallelism: false,
    allowOnly: false,
  },
})
