/** What a program that passes on the death of another by a signal (a shell, bubblewrap) adds to the signal's number as its exit code (POSIX: more than 128). */
export const SIGNAL_EXIT_BASE = 128
