/** Options of verbs that take a task: what it needs, its sweep, how it is to be run. */

import type { Command } from 'commander'

const TASK_USAGE =
  '[options] FILE | [options] SCRIPT.py | [options] MODULE.wasm [-- ARGUMENT...] | [options] -- PROGRAM [ARGUMENT...]'

/** A verb that takes a task or a program, a sweep and a policy. */
export function sweepCommand(program: Command, name: string): Command {
  const verb = program.command(`${name} [task...]`).usage(TASK_USAGE)
  return policyOptions(taskOptions(sweepOptions(verb)))
}

/** A verb that takes a job and, if need be, another task or policy for it. */
export function mendCommand(group: Command, name: string): Command {
  const verb = group.command(`${name} <job> [task...]`).usage(`JOB ${TASK_USAGE}`)
  return policyOptions(taskOptions(verb))
}

function sweepOptions(verb: Command): Command {
  return verb
    .option(
      '-p, --param <name=values>',
      '1,2,3 | from:to:step (without to) | linspace(a,b,n) | logspace(a,b,n) | [json]',
      repeat,
    )
    .option('--sweep <json|file>', 'axes by name: {"x": [1, 2], "y": "0:1:0.1"}')
    .option('--rows <file>', 'one point a row of a .csv or .jsonl file')
    .option('--zip', 'take the first values together, then the second, ...')
    .option('--random <n>', 'draw n points: --param x=uniform(0,1), loguniform, integer, or values to choose from')
    .option('--latin <n>', 'draw n points as a Latin hypercube')
}

function taskOptions(verb: Command): Command {
  return verb
    .option('--image <file>', 'run the program in this image, an archive of `podman save` or `docker save`')
    .option('--folder <path>', 'a folder at the path it has here: a Python or conda environment (repeatable)', repeat)
    .option(
      '--in <path>',
      'a file, a folder or a glob the program needs; data/{name}.csv: that of each point (repeatable)',
      repeat,
    )
    .option('--out <glob>', 'files it writes that are kept; . for all (repeatable)', repeat)
    .option('--env <name=value>', 'an environment variable of the program (repeatable)', repeat)
    .option('--stdin <text>', 'what the program reads; as in its arguments, {name} stands for a parameter')
    .option('--takes <names>', 'of a .wasm library: what its function takes, x,y or json')
    .option('--gives <what>', 'of a .wasm library: number, numbers, json, floats or bytes')
    .option('--export <name>', 'of a .wasm library: the function (default: unit)')
}

function policyOptions(verb: Command): Command {
  return verb
    .option('--seed <n>', 'seed of what is drawn, and of the random numbers of js, Python and WebAssembly tasks')
    .option('--quorum <n>', 'accept a result when n peers agree on it')
    .option('--of <n>', 'executions of one unit at most (default: 2 × quorum - 1)')
    .option('--confidence <p>', 'run copies until each value is right with this probability: 0.999')
    .option('--collusion <c>', 'the chance that two wrong results of strangers agree (default: 1, they plot)')
    .option('--tolerance <t>', 'when numbers agree: 1e-9 (relative), abs=1e-6')
    .option('--require <cel>', 'which peers: \'peer.cpus >= 2 && peer.labels.room == "b12"\'')
    .option('--rank <cel>', "which peers first: 'peer.speed'")
    .option('--alike <cel>', "the results of a unit from machines of which this is the same: 'peer.arch'")
    .option('--priority <n>', 'against your other jobs, -3 to 3: each step doubles the share (default: 0)')
    .option('--retries <n>', 'further attempts of a unit after failures that may not happen again')
    .option('--cpus <n>', 'cores one unit may use (default: 1)')
    .option('--memory <size>', 'memory one unit may use: 512MiB')
    .option('--time <duration>', 'the longest one unit may run: 1h')
    .option('--deadline <duration>', 'units not decided by then fail')
    .option('--after <job>', 'start when this job has ended well (repeatable)', repeat)
    .option('--name <name>', 'what the job is called')
    .option('--queue', 'take the job even if no peer can run it now')
}

const repeat = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value]
