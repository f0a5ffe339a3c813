// SPDX-License-Identifier: Apache-2.0

// Package scan reads a map with a program of its own, inside the kernel.
//
// A [Pump] is a program that is run: it walks the whole map, or a range of an
// array, and leaves the rows in memory that is shared with the caller. It is the
// fastest way there is, and one run is one stay in the kernel. An [Iterator] is
// a program that the kernel calls for each element while a descriptor is read:
// half as fast, and no read stays longer than it takes to fill 32 KiB. Neither
// uses lookups of bpf(2), so neither makes other tools' programs miss events.
//
// One object holds all programs. [Target] describes the map; its sizes become
// constants before the program is loaded, so that the verifier sees straight
// lines. Loading takes a few milliseconds and needs CAP_BPF and CAP_PERFMON;
// running what was loaded needs no right at all.
//
// Who writes: the programs, into maps of ours; the map that is read is never
// written to. Who reads: the caller, between runs. Neither type may be used by
// two goroutines at once.
//
// What may go wrong. The map changes while it is walked: an element that was
// given to another key while it was copied is left out and counted, and a walk
// that follows an element to another bucket may miss or repeat keys. The kernel
// may refuse a program (no right, too old, a value with a lock or a timer in
// it): the error says so, and there are other ways to read a map.
package scan
