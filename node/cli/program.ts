/** The command tree, and what every verb has in common: options, errors, exit codes. */

import { Command, CommanderError } from 'commander'
import { TalkootError } from '../../protocol/errors.ts'
import { type Act, type Context, createContext, type GlobalOptions, type Register } from './context.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'
import type { Io } from './io.ts'
import { coloursFor } from './render/colours.ts'
import { errorJson, errorText } from './render/errors.ts'
import { FORMATS } from './render/output.ts'
import { completion } from './verbs/completion.ts'
import { demo } from './verbs/demo.ts'
import { doctor } from './verbs/doctor.ts'
import { down } from './verbs/down.ts'
import { explain } from './verbs/explain.ts'
import { job } from './verbs/job.ts'
import { jobs } from './verbs/jobs.ts'
import { pause } from './verbs/pause.ts'
import { peers } from './verbs/peers.ts'
import { plan } from './verbs/plan.ts'
import { run } from './verbs/run.ts'
import { status } from './verbs/status.ts'
import { token } from './verbs/token.ts'
import { up } from './verbs/up.ts'
import { verify } from './verbs/verify.ts'
import { version } from './verbs/version.ts'

/** In the order of `talkoot help`. */
const VERBS: readonly Register[] = [
  up,
  down,
  status,
  pause,
  doctor,
  peers,
  token,
  run,
  jobs,
  job,
  plan,
  explain,
  verify,
  demo,
  completion,
  version,
]

/** Runs one command line; answers with its exit code. */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  let exitCode: number = EXIT.ok
  let context: Context | null = null
  let typed = 'talkoot VERB'
  const onMistyped = (command: Command) => {
    typed = pathOf(command)
  }
  const act: Act =
    (verb) =>
    async (...args) => {
      const command = args.pop() as Command
      typed = pathOf(command)
      context = createContext(argv, io, command.optsWithGlobals<GlobalOptions>())
      exitCode = (await verb(context, ...(args as never))) ?? EXIT.ok
    }
  const program = createProgram(io, act, onMistyped)
  try {
    await program.parseAsync(wordsOf(argv), { from: 'user' })
    return exitCode
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return EXIT.ok
    // A verb without one of those below it: its help was shown.
    if (thrown instanceof CommanderError && thrown.code === 'commander.help') return EXIT.usage
    const error = thrown instanceof CommanderError ? mistyped(thrown) : thrown
    return await fail(error, io, context, { ...program.opts<GlobalOptions>(), typed })
  }
}

/** As most programs are asked for help, and for their version. */
function wordsOf(argv: readonly string[]): string[] {
  const [first = 'help', ...rest] = argv
  return [first === '--version' ? 'version' : first, ...rest]
}

const mistyped = ({ message }: CommanderError): TalkootError =>
  new TalkootError('E_USAGE', message.replace(/^error: /, ''))

function createProgram(io: Pick<Io, 'stdout' | 'stderr'>, act: Act, onMistyped: (command: Command) => void): Command {
  const program = new Command('talkoot')
    .description('A compute mesh of peers without a head: share work, verify it, keep it.')
    .option('-o, --output <format>', `${FORMATS.join(', ')} (default: table)`)
    .option('--json', 'the same as --output json')
    .option('--no-color', 'no colours (also: NO_COLOR)')
    .option('--timeout <duration>', 'give up after this long: 30s, 5m')
    .helpCommand('help [verb]', 'explain a verb')
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError()
  for (const register of VERBS) register(program, act)
  for (const command of everyCommand(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: () => onMistyped(command),
      getOutHelpWidth: () => io.stdout.columns,
      getErrHelpWidth: () => io.stderr.columns,
    })
  }
  return program
}

/** A command as it is typed: `talkoot token create`. */
const pathOf = (command: Command): string =>
  command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`

const everyCommand = (command: Command): Command[] => [command, ...command.commands.flatMap(everyCommand)]

async function fail(
  thrown: unknown,
  io: Io,
  context: Context | null,
  { typed, ...options }: GlobalOptions & { typed: string },
): Promise<number> {
  if (io.interrupted.aborted) return EXIT.interrupted
  const reason: unknown = context?.signal.aborted ? context.signal.reason : thrown
  const error = TalkootError.from(reason)
  const machine = context?.output.machine ?? options.json === true
  const colours = context?.output.colours ?? coloursFor(io.stderr, options.color !== false, io.env)
  await io.stderr.write(`${machine ? errorJson(error) : errorText(error, colours, typed)}\n`)
  return exitCodeOf(error)
}
