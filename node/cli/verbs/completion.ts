/** `talkoot completion`: scripts that complete verbs and options, made from the command tree itself. */

import { Argument, type Command } from 'commander'
import type { Act } from '../context.ts'

type Level = {
  /** Verbs that lead here: `job show`. */
  path: string
  words: { word: string; about: string }[]
}

const SHELLS = { bash, zsh, fish } as const

export function completion(program: Command, act: Act): void {
  program
    .command('completion')
    .description('a script for your shell: source <(talkoot completion bash)')
    .addArgument(new Argument('<shell>').choices(Object.keys(SHELLS)))
    .action(
      act(async ({ io }, shell: keyof typeof SHELLS) => {
        await io.stdout.write(SHELLS[shell](levels(program)))
        return undefined
      }),
    )
}

function levels(program: Command): Level[] {
  const global = program.options.map((option) => ({ word: option.long ?? option.flags, about: option.description }))
  const walk = (command: Command, path: string): Level[] => {
    const verbs = command.commands.map((child) => ({ word: child.name(), about: child.description() }))
    const options = command === program ? [] : command.options
    const own = options.map((option) => ({ word: option.long ?? option.flags, about: option.description }))
    const below = command.commands.flatMap((child) =>
      walk(child, path === '' ? child.name() : `${path} ${child.name()}`),
    )
    return [{ path, words: [...verbs, ...own, ...global] }, ...below]
  }
  return walk(program, '')
}

/** The path of verbs typed so far is what comes before the first option. */
function bash(levels: Level[]): string {
  const cases = levels.map(({ path, words }) => `    '${path}') words='${words.map(({ word }) => word).join(' ')}' ;;`)
  return `_talkoot() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" path='' words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in -*) break ;; esac
    path="\${path:+$path }\${COMP_WORDS[i]}"
  done
  while :; do
    case "$path" in
${cases.map((line) => `  ${line}`).join('\n')}
    esac
    [[ -n "$words" || -z "$path" ]] && break
    case "$path" in *' '*) path="\${path% *}" ;; *) path='' ;; esac
  done
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _talkoot talkoot
`
}

function zsh(levels: Level[]): string {
  const described = ({ word, about }: Level['words'][number]) =>
    `'${quoted(word).replaceAll(':', '\\:')}:${quoted(about)}'`
  const cases = levels.map(({ path, words }) => `      '${path}') list=(${words.map(described).join(' ')}) ;;`)
  return `#compdef talkoot
_talkoot() {
  local -a list
  local at='' i
  for ((i = 2; i < CURRENT; i++)); do
    [[ $words[i] == -* ]] && break
    at="\${at:+$at }$words[i]"
  done
  while true; do
    case "$at" in
${cases.join('\n')}
    esac
    [[ \${#list} -gt 0 || -z "$at" ]] && break
    [[ "$at" == *' '* ]] && at="\${at% *}" || at=''
  done
  _describe 'talkoot' list
  _files
}
compdef _talkoot talkoot
`
}

function fish(levels: Level[]): string {
  const lines = levels.flatMap(({ path, words }) =>
    words.map(({ word, about }) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-f -a ${word}`
      return `complete -c talkoot -n "__talkoot_at '${path}'" ${what} -d '${quoted(about)}'`
    }),
  )
  return `function __talkoot_at
  set -l typed (commandline -opc)[2..-1]
  set -l path
  for word in $typed
    string match -q -- '-*' $word; and break
    set -a path $word
  end
  set -l wanted (string split -n ' ' -- $argv[1])
  set -l depth (count $wanted)
  test $depth -eq 0; and test (count $path) -eq 0; and return 0
  test $depth -eq 0; and return 1
  test "$path[1..$depth]" = "$wanted"
end
${lines.join('\n')}
`
}

const quoted = (text: string): string => text.replaceAll("'", '’')
