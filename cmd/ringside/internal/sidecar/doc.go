// SPDX-License-Identifier: Apache-2.0

// Package sidecar is `ringside serve`: it wires maps to rings and rings to
// consumers, and keeps all of it alive while maps come and go.
//
//	config ─► pins ─► reader.Pool ─► destination ─► shm.Publisher ◄─ handoff.Server ◄─ consumers
//	           ▲ every second          one epoch at a time             attach, status
//
// Who writes what. The pool's workers write frames, each through the
// destination of its source. Three goroutines do the rest: the heart tells
// readers ten times a second that the publisher lives, the keeper looks every
// second for pins that came or went, and the server answers clients. The state
// they share is under one mutex, which is never held while a map is opened or
// scanned, or the memory of a ring is made.
//
// What may go wrong. A pin that is missing, denied or of the wrong kind is a
// problem of that source: it is shown, logged and tried again, and the others
// are read. A map that is replaced becomes a new source of the ring. When the
// ring has no room for it, the ring itself is replaced: consumers are told to
// attach again (a new epoch), and the memory of the old one lives until they
// have. A call into the kernel that does not return holds back its whole ring:
// the other sources get a new epoch, and the memory that it may yet write to is
// kept until it returns. The sidecar refuses to start only if nothing of what it was asked to
// read can ever be read, or if a ring cannot hold what it was asked to hold.
package sidecar
