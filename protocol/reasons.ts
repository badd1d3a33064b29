/**
 * Why a unit is not running, or a peer is given nothing: the one list that the scheduler, the API, the SDK, the command
 * line and docs/reasons.md share. Each has a stable code, a sentence that reads of one peer as of many, whose move it
 * is, and what to do next. A code is never reused for another meaning.
 */

import { z } from 'zod'
import type { Mover } from './errors.ts'

/** `nobody`: it passes by itself. */
export type ReasonMover = Mover | 'nobody'

type Entry = { readonly says: string; readonly mover: ReasonMover; readonly hint: string }

const entry = (says: string, mover: ReasonMover, hint: string): Entry => ({ says, mover, hint })

export const REASONS = {
  // of a whole job
  held: entry('Held by its submitter.', 'user', 'let it go on with `talkoot job release JOB`'),
  dependency: entry(
    'Another job must end first.',
    'nobody',
    'it starts by itself; `talkoot explain JOB` names the jobs',
  ),
  'dependency-failed': entry(
    'A job it was to follow was cancelled, or has failed units.',
    'user',
    'start it nevertheless with `talkoot job release JOB`, or give it up with `talkoot job cancel JOB`',
  ),
  'not-repeatable': entry(
    'Stopped: the task does not give the same result twice.',
    'user',
    '`talkoot explain JOB` names the field that differs: submit it anew with a `--tolerance`, or make the task draw chance and time from its parameters',
  ),
  'platform-differs': entry(
    'Stopped: machines of one platform never find what those of another do.',
    'user',
    '`talkoot explain JOB` names the platforms: submit it anew with a `--tolerance`, or each unit to one of them with `--alike`',
  ),
  'ledger-halted': entry(
    'The ledger cannot be written, so no work is given out.',
    'owner',
    'free disk space; it is tried again every few seconds',
  ),
  'undecided-full': entry(
    'As many units are begun and undecided as may be.',
    'nobody',
    'new units begin as others are decided',
  ),

  // of units
  comparing: entry('Results are being compared.', 'nobody', 'the task’s own `agree` is at work'),
  unconfirmed: entry(
    'One peer has spoken that is newly believed: until later results of it are confirmed.',
    'nobody',
    'it is decided when the peer has been checked a few times more, when all else is done at the latest',
  ),
  'quorum-short': entry(
    'Too few different peers are left to agree.',
    'user',
    'let more machines join, loosen `require`, or ask for a smaller quorum',
  ),

  // of peers, from the nearest to running to the furthest; also of units, when nothing nearer is there
  busy: entry('Busy with other units.', 'nobody', 'it goes on as units end; more machines make it faster'),
  'all-given': entry(
    'Every unit left is in other hands, or has heard this peer already.',
    'nobody',
    'nothing: it helps where a unit comes free',
  ),
  fetching: entry(
    'Fetching the files of the job.',
    'nobody',
    'it is given units when it has them; `talkoot explain JOB` says how far it is',
  ),
  connecting: entry(
    'Not connected for work yet.',
    'nobody',
    'it is tried again by itself; `talkoot peers` shows who answers',
  ),
  backoff: entry(
    'Resting after a fault, a timeout or units handed back.',
    'nobody',
    'it is tried again by itself; `talkoot explain JOB` names the fault',
  ),
  paused: entry(
    'Paused by the owner of the machine.',
    'owner',
    'wait for its return, or ask the owner for `talkoot resume`',
  ),
  untrusted: entry(
    'Not trusted: its results were wrong, or it runs no work of strangers.',
    'user',
    'let other machines join; `talkoot explain peer PEER` shows what was seen of it',
  ),
  refused: entry('Refuses the job.', 'peer', '`talkoot explain JOB` names the code it refuses with'),
  'own-limits': entry(
    'Its owner offers less than the job needs.',
    'owner',
    'ask for less (`--memory`, smaller files), or have the owner offer more (`talkoot up --mem`, `--disk`)',
  ),
  'no-match': entry(
    'Does not offer what the job requires.',
    'user',
    'loosen the clause that `talkoot explain JOB` names, or let a machine that satisfies it join',
  ),
  'no-cores': entry('Offers no cores: it only submits.', 'owner', 'offer some with `talkoot up --cores N`'),
  blocked: entry('Blocked at this machine.', 'user', 'let it back with `talkoot peer unblock PEER`'),
  'no-peer': entry(
    'No peer that offers cores is connected.',
    'user',
    'start `talkoot up` on other machines, or offer cores of this one',
  ),

  // of a peer without jobs
  'no-work': entry('No job has work to give.', 'user', 'submit one with `talkoot run` or `talkoot submit`'),
} as const satisfies Record<string, Entry>

export type Reason = keyof typeof REASONS

/** In the order of the list. */
export const REASON_CODES = Object.keys(REASONS) as [Reason, ...Reason[]]

export const reasonSchema = z.enum(REASON_CODES)

/** The one of these peers' reasons that is nearest to running. */
export function nearest(reasons: Iterable<Reason>): Reason {
  const present = new Set(reasons)
  return REASON_CODES.find((code) => present.has(code)) ?? 'no-peer'
}
