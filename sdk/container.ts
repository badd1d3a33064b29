/** A program in an image as a task: a container for each point of a sweep. */

import { basename } from 'node:path'
import { encodeContainer } from '../protocol/command/container.ts'
import { TalkootError } from '../protocol/errors.ts'
import { type CommandOptions, type CommandValue, programOf } from './command.ts'
import { readInputs } from './inputs.ts'
import { type BundleContext, type ProgramTask, type TaskBundle, taskBundle } from './task-bundle.ts'

export class Container implements ProgramTask<unknown, CommandValue> {
  declare readonly types?: (needs: unknown) => CommandValue
  readonly image: string
  readonly argv: readonly string[]
  readonly options: CommandOptions

  constructor(image: string, argv: readonly string[], options: CommandOptions) {
    this.image = image
    this.argv = argv
    this.options = options
  }

  async bundle(context: BundleContext): Promise<TaskBundle> {
    const { cwd = '.' } = this.options
    const image = await readInputs([this.image], cwd, context)
    if (image === null || image.files.size !== 1) {
      throw new TalkootError(
        'E_TASK_INVALID',
        `an image is one file, as \`podman save\` writes it: ${basename(this.image)}`,
      )
    }
    const { program, trees } = await programOf(this, context)
    return taskBundle('container', encodeContainer({ v: 1, image: image.ref, program }), { trees: [image, ...trees] })
  }
}

/**
 * A program in an image, one container for each point of the sweep. `image`: an archive as `docker save` or `podman save` writes it, or
 * an OCI layout in a tar; peers hand it to each other, so there is no registry. `argv` takes the place of its entry point. All
 * else is as with `command`; it runs on peers where podman works.
 * @example mesh.map(container('app.tar', ['simulate', '--x', '{x}']), grid({ x: range(100) }))
 */
export const container = (image: string, argv: readonly string[], options: CommandOptions = {}): Container =>
  new Container(image, argv, options)
