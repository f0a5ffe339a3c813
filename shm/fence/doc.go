// SPDX-License-Identifier: Apache-2.0

// Package fence has the two orders that Go's atomics do not give by themselves
// and that whoever reads memory needs which somebody else overwrites meanwhile: a
// ring, a sequence lock in private memory, a BPF ringbuf.
//
// The ring is a sequence lock whose sequence is hw, the highest byte ever claimed.
//
// The publisher raises hw and then lets somebody overwrite old bytes. A reader
// that sees a new byte must also see the raised hw, so no store to the data may
// pass the store of hw: [StoreStore], DMB ISHST on arm64.
//
// The reader copies bytes and then loads hw. If hw says that the bytes were not
// yet claimed, they must have been read before that was true, so no load of the
// data may be delayed past the load of hw: [LoadLoad], DMB ISHLD on arm64. An
// atomic load is an acquire, which orders what comes after it; this is about
// what comes before.
//
// amd64 keeps stores in order among themselves and loads in order among
// themselves, so the functions are empty there. The compiler moves no memory
// access over the atomic operation that stands next to each call: sync/atomic
// operations are ordered in its memory state like calls.
package fence
