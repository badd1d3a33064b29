/** How far a ball flies through air, beside how far it would fly in a vacuum. */

import { defineTask } from 'talkoot'
import { z } from 'zod/mini'

const AIR = 1.2 // kg/m3
const GRAVITY = 9.81 // m/s2
const DRAG_OF_SPHERE = 0.47
const STEP = 0.001 // s

const positive = z.number().check(z.positive())

export default defineTask({
  url: import.meta.url,
  /** kg, m, m/s, degrees. */
  input: z.object({ ball: z.string(), mass: positive, diameter: positive, speed: positive, angle: positive }),
  run: ({ mass, diameter, speed, angle }) => {
    const radians = (angle * Math.PI) / 180
    const drag = (0.5 * AIR * DRAG_OF_SPHERE * Math.PI * (diameter / 2) ** 2) / mass
    let [x, y, vx, vy, t] = [0, 0, speed * Math.cos(radians), speed * Math.sin(radians), 0]
    let before = { x, y, t }
    // Midpoint rule: the error of the range is of second order in the step.
    while (y >= 0) {
      before = { x, y, t }
      const v = Math.hypot(vx, vy)
      const middle = { vx: vx - (STEP / 2) * drag * v * vx, vy: vy - (STEP / 2) * (GRAVITY + drag * v * vy) }
      const w = Math.hypot(middle.vx, middle.vy)
      x += STEP * middle.vx
      y += STEP * middle.vy
      vx -= STEP * drag * w * middle.vx
      vy -= STEP * (GRAVITY + drag * w * middle.vy)
      t += STEP
    }
    const part = before.y / (before.y - y)
    return {
      range: before.x + part * (x - before.x),
      vacuum: (speed ** 2 * Math.sin(2 * radians)) / GRAVITY,
      seconds: before.t + part * STEP,
    }
  },
})
