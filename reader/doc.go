// SPDX-License-Identifier: Apache-2.0

// Package reader turns a pinned BPF map into rows.
//
// [Open] finds the map behind a pin, asks the kernel what it is, translates its
// BTF and probes how it can be read fastest. [Source.Scan] makes one pass over
// the map and hands the rows, in frames, to a [Destination]: anything that can
// lend a byte slice. A [Pool] scans many sources at their own cadence.
//
// Engines, in the order they are tried; the choice and its reason are in
// [Info]:
//
//	mmap   the map's own pages, mapped read-only, copied without a system call
//	pump   a program of ours copies a range of the array, or of the hash's
//	       buckets, into memory we share with it; package bpf/scan
//	sweep  the kernel walks the whole hash for such a program, in one go
//	iter   the kernel calls a program for each element while we read
//	batch  BPF_MAP_LOOKUP_BATCH straight into the lent bytes
//	walk   next key + lookup, two system calls a row; works for every type
//
// Sources that ask for locked scans of a hash are read by batch or walk. So are
// maps that no program may read, and all of them where none can be loaded.
//
// Who writes: the kernel (iter, batch, walk) or one memcpy (mmap, pump, sweep),
// into bytes that the destination lends. Who reads: whoever the destination
// shows them to, once a frame is committed. Of the rows the reader keeps at most
// what a program left for one copy, and it allocates nothing per scan.
//
// What may go wrong. The map is not ours: it is filled, emptied, frozen,
// unpinned and replaced while it is read, and a scan is no snapshot; a key that
// moves meanwhile may be missed or seen twice. An engine may fail on a live map;
// the scan is then repeated with the next engine, Info says why, and the
// better one is tried again later. An interrupted scan has no last frame. A
// [Source] belongs to one goroutine at a time, except for Info, which anyone may
// call.
package reader
