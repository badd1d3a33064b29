/** One job on one slot: a container for each unit, from the image as a folder, started with the unit's parameters. */

import { mkdtemp, realpath, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { decodeContainer } from '../../../protocol/command/container.ts'
import type { Program } from '../../../protocol/command/program.ts'
import { type TreeRef, topNames } from '../../../protocol/data/tree.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Attempt } from '../../../protocol/work.ts'
import type { Inputs } from '../command/launch.ts'
import { reportOf, resultOf, unitOf } from '../command/sandbox.ts'
import { runUnitProcess, type UnitEnd, type UnitProcessInit } from '../command/unit-process.ts'
import { failed } from '../failed.ts'
import { type SandboxComponents, untilAborted } from '../prepared-runtime.ts'
import type { Reached } from '../reachable-folders.ts'
import type { LaidTree, Sandbox, SandboxInit, UnitInput } from '../runtime.ts'
import { groupName, removeGroup } from './groups.ts'
import type { HeldImage } from './images.ts'
import { containerLine } from './launch.ts'
import { CONTAINER_DEPTH, makeHome, type PodmanHome } from './podman.ts'
import type { PreparedContainer } from './prepare.ts'

/** What is on disk for the units of the job. */
type Laid = {
  prepared: PreparedContainer
  program: Program
  image: HeldImage
  inputs: (Inputs & { reached: Reached }) | null
  home: PodmanHome
  group: string
}

export class ContainerSandbox implements Sandbox {
  readonly #components: SandboxComponents<PreparedContainer>
  readonly #init: SandboxInit
  readonly #closing = new AbortController()
  #laid: Promise<Laid> | undefined
  #running: Promise<unknown> = Promise.resolve()

  constructor(components: SandboxComponents<PreparedContainer>, init: SandboxInit) {
    this.#components = components
    this.#init = init
  }

  async warm(signal: AbortSignal): Promise<void> {
    await untilAborted(() => this.#lay(), AbortSignal.any([signal, this.#closing.signal]))
  }

  async *run(units: readonly UnitInput[], signal: AbortSignal): AsyncGenerator<Attempt[]> {
    const either = AbortSignal.any([signal, this.#closing.signal])
    for (const unit of units) {
      if (either.aborted) return
      const running = this.#runUnit(unit, either)
      this.#running = running.catch(() => undefined)
      const attempt = await running
      if (attempt === null) return
      yield [attempt]
    }
  }

  async agree(): Promise<boolean> {
    throw new TalkootError('E_TASK_INVALID', 'a program has no `agree`')
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
    const laid = await this.#laid?.catch(() => undefined)
    if (laid !== undefined) {
      laid.image.release()
      await laid.inputs?.reached.release()
      await removeGroup(laid.group)
      await rm(laid.home.folder, { recursive: true, force: true })
    }
    this.#components.onClosed(this)
  }

  /** Null when it was aborted. */
  async #runUnit({ unit, params }: UnitInput, signal: AbortSignal): Promise<Attempt | null> {
    try {
      const laid = await untilAborted(() => this.#lay(), signal)
      const end = await this.#runContainer(laid, unit, params, signal)
      if (end.killed === 'aborted') return null
      this.#init.onReport?.(reportOf(unit, end, null))
      return { unit, ok: true, value: resultOf(end, this.#init, null) }
    } catch (thrown) {
      if (signal.aborted) return null
      const { code, message } = TalkootError.from(thrown)
      return failed(unit, code, message)
    }
  }

  async #runContainer(laid: Laid, unit: number, params: string, signal: AbortSignal): Promise<UnitEnd> {
    const { prepared, program, image, inputs, home, group } = laid
    const { command, stdin } = unitOf(program, unit, params)
    const { memoryMiB, timeoutMs } = this.#init
    const pidfile = join(home.folder, 'pid')
    await rm(pidfile, { force: true })
    const place = { rootfs: image.rootfs, variables: image.env, inputs, group, pidfile }
    const podman = containerLine(prepared.tools, place, { ...command, stdin: stdin !== null }, this.#init)
    const line = [prepared.env, ...Object.entries(home.env).map(([name, value]) => `${name}=${value}`), ...podman]
    const limits = { timeoutMs, memoryMiB, depth: CONTAINER_DEPTH }
    const onOutput: UnitProcessInit['onOutput'] = (...written) => this.#init.onOutput?.(unit, ...written)
    const end = await runUnitProcess(
      { line, handed: [], shut: prepared.shut, user: undefined, stdin, onOutput, ...limits },
      signal,
    )
    if (end.killed !== null) await removeGroup(group)
    else if (end.code === PODMAN_FAILED && !(await exists(pidfile))) {
      throw new TalkootError(
        'E_UNIT_CRASHED',
        `podman could not start it: ${end.stderr.trim().slice(-LIMITS.UNIT_ERROR_MAX_CHARS / 2)}`,
      )
    }
    return end
  }

  #lay(): Promise<Laid> {
    this.#laid ??= this.#layDown()
    return this.#laid
  }

  async #layDown(): Promise<Laid> {
    const prepared = await this.#components.prepared()
    const { image: ref, program } = decodeContainer(this.#init.source)
    const [file, ...others] = this.#treeOf(ref).layout.tree.files
    if (file === undefined || others.length > 0) throw new TalkootError('E_SOURCE', 'an image is a single file')
    const image = await prepared.images.hold(
      ref.digest,
      join(this.#treeOf(ref).folder, file.path),
      this.#closing.signal,
    )
    try {
      const inputs = program.inputs === null ? null : await this.#reach(prepared, program.inputs)
      const folder = await mkdtemp(join(prepared.folder, 'job-'))
      const home = await makeHome(folder, prepared.tools)
      return { prepared, program, image, inputs, home, group: groupName(basename(folder)) }
    } catch (error) {
      image.release()
      throw error
    }
  }

  async #reach({ inputs }: PreparedContainer, ref: TreeRef): Promise<Inputs & { reached: Reached }> {
    const tree = this.#treeOf(ref)
    const names = topNames(tree.layout.tree)
    if (names.length > LIMITS.COMMAND_INPUTS_MAX) {
      throw new TalkootError('E_SOURCE', `over ${LIMITS.COMMAND_INPUTS_MAX} files and folders in the folder of a unit`)
    }
    const reached = await inputs.reach(tree.folder)
    // Podman mounts what a link leads to on this machine.
    const root = await realpath(reached.folder)
    for (const name of names) {
      const to = await realpath(join(root, name)).catch(() => '')
      if (to.startsWith(`${root}/`)) continue
      await reached.release()
      throw new TalkootError('E_SOURCE', `${name} is a link to what is installed: an image has its own`)
    }
    return { folder: reached.folder, names, reached }
  }

  #treeOf({ digest }: TreeRef): LaidTree {
    const tree = this.#init.trees?.get(digest)
    if (tree === undefined) throw new TalkootError('E_INTERNAL', 'the files of the task are not here')
    return tree
  }
}

/** Podman's own exit code, when it is not the container's: podman-run(1). */
const PODMAN_FAILED = 125

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
