// SPDX-License-Identifier: Apache-2.0

// Package bpftest is what tests that need a real kernel share: a private
// bpffs, maps that disappear with their test, other processes and users, a count
// of what was left open, and skips that can be trusted.
//
// Who uses it: *_test.go files only. Nothing in a shipped binary imports it.
//
// What may go wrong: the machine may not allow it (no root, BPF switched off,
// a map type the kernel lacks). Every such case ends in [Skip] with a reason
// that was established by trying, never guessed from a version number. With
// RINGSIDE_NO_SKIP=1 in the environment a skip is a failure, so that a machine
// that is known to be capable cannot pass by testing nothing.
package bpftest
