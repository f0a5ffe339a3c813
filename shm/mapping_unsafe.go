// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is what one entry of a page table covers where it can, with pages of
// 4 KiB. With larger ones it is a rounder address than needed, nothing else.
const hugePage = 2 << 20

// mapFile maps size bytes of f. POPULATE: nobody pays page faults later, and the
// pages are charged to the process that maps first, the sidecar.
func mapFile(f *os.File, size uint64, prot int) (memory, error) {
	return mapShared(f, size, prot, unix.MAP_POPULATE)
}

// mapSparse maps a file without giving all of it a place on the disk.
func mapSparse(f *os.File, size uint64) (memory, error) {
	return mapShared(f, size, unix.PROT_READ|unix.PROT_WRITE, 0)
}

// mapShared maps what fits a huge page to where one can be: address and offset
// must agree modulo its size.
//
// Unsafe: the kernel says that size bytes are mapped at the address, at which
// nothing was before. They stay until unmap.
func mapShared(f *os.File, size uint64, prot, flags int) (memory, error) {
	at, err := unix.MmapPtr(int(f.Fd()), 0, roundAddress(size), uintptr(size), prot, unix.MAP_SHARED|flags)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes of %s: %w", size, f.Name(), err)
	}
	m := memory(unsafe.Slice((*byte)(at), size))
	// Core dumps of an application need not carry the content of kernel maps.
	// Where the kernel refuses, a dump is larger, nothing else.
	_ = unix.Madvise(m, unix.MADV_DONTDUMP)
	return m, nil
}

// roundAddress proposes a free address that is a multiple of a huge page. It is a
// hint: if somebody else has taken it meanwhile, the kernel chooses another.
//
// Unsafe: the address is computed inside of room and never dereferenced.
func roundAddress(size uint64) unsafe.Pointer {
	if size < hugePage {
		return nil
	}
	room, err := unix.MmapPtr(-1, 0, nil, uintptr(size+hugePage), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil
	}
	_ = unix.MunmapPtr(room, uintptr(size+hugePage)) // of what was just mapped
	return unsafe.Add(room, -uintptr(room)%hugePage)
}

// gather has the kernel put a new file's memory into huge pages (Linux 6.1), for
// whoever maps it later. It wants to see a page of each; were all of them there
// already, it would have to copy them, which takes ten times as long. What does
// not go, for want of memory in one piece, comes in small pages: false.
func gather(f *os.File, size uint64) bool {
	m, err := mapSparse(f, size)
	if err != nil {
		return false
	}
	defer unmap(m)
	for at := 0; at+hugePage <= len(m); at += hugePage {
		if unix.Madvise(m[at:at+os.Getpagesize()], unix.MADV_POPULATE_WRITE) != nil {
			return false
		}
	}
	return len(m) >= hugePage && unix.Madvise(m, unix.MADV_COLLAPSE) == nil
}

// unmap gives back what mapShared mapped.
//
// Unsafe: m is whole, as it was mapped, and nobody uses it any more.
func unmap(m memory) error {
	if m == nil {
		return nil
	}
	return unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(m)), uintptr(len(m)))
}
