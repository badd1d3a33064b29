export default {
  run: ({ a }: { a: number }): number => a,
  agree: (a: number, b: number): boolean => Math.abs(a - b) < 1,
}
