// SPDX-License-Identifier: Apache-2.0

// Command ringside serves pinned BPF maps to programs without privilege, and
// looks at what is served. `ringside serve` is the one privileged process; the
// other verbs are its clients or look at bpffs by themselves.
//
// A verb is one file: it turns flags into a call of a package and the answer
// into text. What all verbs share is here: the list of verbs (commands.go),
// exit codes (exit.go), the logger (logger.go), common flags (flags.go).
//
// What may go wrong is told by the exit code, which is a promise to scripts,
// and by one line on standard error that names the thing, the cause and the
// remedy. Answers go to standard output, logs to standard error.
package main
