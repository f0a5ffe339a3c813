// SPDX-License-Identifier: Apache-2.0

// Package config turns a configuration file or a command line into one
// [Config], and says precisely what is wrong with either.
//
// Who writes: whoever may start the sidecar. Who reads: `serve` and `validate`.
// Both ways end in the same [Config] through the same checks, so that a command
// line can be moved into a file without learning new rules.
//
// What may go wrong: everything in a file is checked before anything is read or
// created, all problems are reported at once, each with its line, the path of
// the field and a remedy. What this version does not know is refused, never
// ignored: a field that is spelled wrong must not quietly mean its default, and
// a mode that a later version brings must not be served as another one.
package config
