// SPDX-License-Identifier: Apache-2.0

// Package shm is the ring: one sealed memfd that a single privileged process
// writes and any number of unprivileged processes read without system calls.
//
// # Who writes, who reads
//
// A [Publisher] owns the memory. Its [Producer]s, one per source, claim bytes,
// fill them (usually by letting the kernel copy a batch of map rows straight
// into them) and commit; commits become visible in the order of the claims.
// A [Cursor] reads frames from a [Ring], which is the same memory mapped
// read-only. Any number of cursors read one ring; none can slow, write, shrink
// or tear what the others see.
//
// The only bytes that flow back are a [Consumer]'s own control page: how far
// it has read, whether it sleeps, what it lost, and what it asks for. The
// publisher reads each of those words once and believes none of them.
//
// # What may go wrong
//
// A ring is lossy unless it was made lossless: then the publisher waits for every
// consumer, for a bounded time, see lossless.go. On a lossy ring it waits for no
// reader. One that is slower than a whole ring is lapped. It notices, resumes at a
// frame that still exists, and knows exactly how many frames and rows it
// missed, because every frame carries the count of everything before it.
//
// A publisher that dies leaves the memory as it was: everything before head is
// whole, nothing behind it is ever looked at.
//
// The normative description, enough to write a client in any language, is
// docs/protocol.md; the arguments about memory ordering stand beside the code
// they are about (claim.go, cursor.go, package fence).
package shm
