// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// lookupAttr is the part of union bpf_attr that BPF_MAP_LOOKUP_ELEM reads.
//
// SAFETY: as for batchAttr; key has the four bytes and value the bytes of a row
// of the map by construction.
type lookupAttr struct {
	mapFD      uint32
	_          uint32
	key, value unsafe.Pointer
	flags      uint64
}

// lookups is BPF_MAP_LOOKUP_ELEM for one key after the other, without a library.
type lookups struct {
	attr  *lookupAttr
	key   *uint32
	value []byte
	keys  int // that there are, from 0 on
	some  int // that a pass takes; the next one goes on behind them
	next  int
}

func newLookups(m *ebpf.Map, valueSize, keys, some int) *lookups {
	l := &lookups{key: new(uint32), value: make([]byte, valueSize), keys: keys, some: some}
	l.attr = &lookupAttr{mapFD: uint32(m.FD()), key: unsafe.Pointer(l.key), value: unsafe.Pointer(&l.value[0])}
	return l
}

// pass looks keys up through the Go runtime, which makes ready to give this
// thread's processor to others.
func (l *lookups) pass() (rows int, err error) {
	for rows < l.some {
		*l.key = uint32(l.next % l.keys)
		_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_LOOKUP_ELEM, uintptr(unsafe.Pointer(l.attr)), unsafe.Sizeof(*l.attr))
		if errno != 0 {
			return rows, fmt.Errorf("look up key %d: %w", *l.key, errno)
		}
		rows++
		l.next++
	}
	runtime.KeepAlive(l)
	return rows, nil
}

// rawPass does the same past the runtime.
func (l *lookups) rawPass() (rows int, err error) {
	for rows < l.some {
		*l.key = uint32(l.next % l.keys)
		_, _, errno := unix.RawSyscall(unix.SYS_BPF, unix.BPF_MAP_LOOKUP_ELEM, uintptr(unsafe.Pointer(l.attr)), unsafe.Sizeof(*l.attr))
		if errno != 0 {
			return rows, fmt.Errorf("look up key %d: %w", *l.key, errno)
		}
		rows++
		l.next++
	}
	runtime.KeepAlive(l)
	return rows, nil
}
