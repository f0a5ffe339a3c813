// SPDX-License-Identifier: Apache-2.0

package shm

// The ring is a sequence lock whose sequence is hw, the highest byte ever
// claimed. Two orders have to hold that Go's atomics do not give by themselves:
//
// The publisher raises hw and then lets somebody overwrite old bytes. A reader
// that sees a new byte must also see the raised hw, so no store to the data may
// pass the store of hw: storeStore, DMB ISHST on arm64.
//
// The reader copies bytes and then loads hw. If hw says that the bytes were not
// yet claimed, they must have been read before that was true, so no load of the
// data may be delayed past the load of hw: loadLoad, DMB ISHLD on arm64. An
// atomic load is an acquire, which orders what comes after it; this is about
// what comes before.
//
// amd64 keeps stores in order among themselves and loads in order among
// themselves, so the functions are empty there. The compiler moves no memory
// access over the atomic operation that stands next to each call: sync/atomic
// operations are ordered in its memory state like calls.

// LoadLoad and StoreStore are the same fences for sequence locks in private
// memory, such as a client's tables.
func LoadLoad() { loadLoad() }

// StoreStore is described with LoadLoad.
func StoreStore() { storeStore() }
