// SPDX-License-Identifier: Apache-2.0

// Package scan reads a map with a program of its own, inside the kernel.
//
// A [Pump] is a program that is run, and one run is one stay in the kernel. It
// leaves rows in memory that is shared with the caller: a range of an array, by
// one copy; a range of a hash's buckets, by following the kernel's own lists; or,
// on kernels that do not let programs do that, the whole of a hash at once. An
// [Iterator] is a program that the kernel calls for each element while a
// descriptor is read: slower, and no read stays longer than it takes to fill
// 32 KiB. A [Finder] tells of single keys whether they are there. None uses
// lookups of bpf(2), so none makes other tools' programs miss events, and none
// marks the rows of an LRU map as used.
//
// One object holds all programs. [Target] describes the map; its sizes become
// constants before the program is loaded, so that the verifier sees straight
// lines. Loading takes 5 to 30 ms and needs CAP_BPF and CAP_PERFMON;
// running what was loaded needs no right at all.
//
// Who writes: the programs, into maps of ours; the map that is read is never
// written to. Who reads: the caller, between runs. No type may be used by two
// goroutines at once.
//
// What may go wrong. The map changes while it is walked: an element that is in no
// list any more, or was given to another key while it was copied, is left out and
// counted; so a value never stands behind another key. The pump that takes buckets
// begins such a bucket again, and one of which it was led to another; elsewhere a
// walk may then miss or repeat keys. The kernel
// may refuse a program (no right, too old, a value with a lock or a timer in
// it): the error says so, and there are other ways to read a map.
package scan
