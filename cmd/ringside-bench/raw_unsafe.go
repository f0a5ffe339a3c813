// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// batchAttr is the part of union bpf_attr that BPF_MAP_LOOKUP_BATCH reads.
//
// SAFETY: pointers are held in unsafe.Pointer fields of a heap object, so the
// garbage collector keeps what they point to and no stack moves under the
// kernel; keys and values have room for count rows by construction.
type batchAttr struct {
	inBatch, outBatch unsafe.Pointer
	keys, values      unsafe.Pointer
	count, mapFD      uint32
	elemFlags, flags  uint64
}

// rawBatch is the plainest loop there is: BPF_MAP_LOOKUP_BATCH into private
// memory that is reused, without a library.
type rawBatch struct {
	attr         *batchAttr
	keys, values []byte
	cursor       []byte
	chunk        int // rows a call
	of           *ebpf.Map
}

func newRawBatch(m *ebpf.Map, keySize, valueSize, chunk int) *rawBatch {
	return &rawBatch{
		attr: &batchAttr{mapFD: uint32(m.FD())},
		keys: make([]byte, chunk*keySize), values: make([]byte, chunk*valueSize),
		cursor: make([]byte, max(keySize, 4)), chunk: chunk, of: m,
	}
}

// pass reads the map once.
func (r *rawBatch) pass() (rows int, err error) { return r.walk(func(int) {}) }

// walk reads the map once, and after each call shows how many rows are at the
// beginning of keys and values.
func (r *rawBatch) walk(look func(rows int)) (rows int, err error) {
	a := r.attr
	a.inBatch, a.outBatch = nil, unsafe.Pointer(&r.cursor[0])
	a.keys, a.values = unsafe.Pointer(&r.keys[0]), unsafe.Pointer(&r.values[0])
	for {
		a.count = uint32(r.chunk)
		_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_LOOKUP_BATCH, uintptr(unsafe.Pointer(a)), unsafe.Sizeof(*a))
		runtime.KeepAlive(r)
		if errno != 0 && errno != unix.ENOENT {
			return rows, fmt.Errorf("BPF_MAP_LOOKUP_BATCH of %d rows: %w", r.chunk, errno)
		}
		look(int(a.count))
		rows += int(a.count)
		if errno == unix.ENOENT {
			return rows, nil
		}
		a.inBatch = a.outBatch
	}
}

// tooSmall reports whether a bucket did not fit the chunk.
func tooSmall(err error) bool { return errors.Is(err, unix.ENOSPC) }
