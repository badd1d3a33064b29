export default ({ x, steps }: { x: number; steps: number }): number => { let y = 0.5; for (let i = 0; i < steps; i++) y = 3.9 * y * (1 - y); return y > 2 ? 0 : x }
