/** A plain function is a task. */
export default ({ a, b = 0 }: { a: number; b?: number }): number => a + b
