// SPDX-License-Identifier: Apache-2.0

//go:build race

package shm

import (
	"sync/atomic"
	"unsafe"
)

// Under the race detector tests also run the protocol on heap memory, where the
// detector sees every access. A seqlock reader races by design with the
// publisher and throws the copy away when it lost; so that only undesigned races
// are reported, these use atomic words.

// load is described in copy_unsafe.go.
func (m memory) load(off uint64, w *words) {
	for i := range w {
		w[i] = m.word(off + uint64(i)*8).Load()
	}
}

// store is described in copy_unsafe.go.
func (m memory) store(off uint64, w *words) {
	for i := range w {
		m.word(off + uint64(i)*8).Store(w[i])
	}
}

// copyOut is described in copy_unsafe.go. Payloads are 64-byte aligned and a
// multiple of 64 long.
//
// Unsafe: both slices are at least 8 bytes longer than i at every access.
func copyOut(dst, src []byte) {
	for i := 0; i+8 <= len(src) && i+8 <= len(dst); i += 8 {
		v := (*atomic.Uint64)(unsafe.Pointer(&src[i])).Load()
		*(*uint64)(unsafe.Pointer(&dst[i])) = v
	}
}

// wipe is described in copy_unsafe.go.
func wipe(b []byte) {
	for len(b)%8 != 0 { // the odd bytes share a word with content of this frame
		b[0] = 0
		b = b[1:]
	}
	for i := 0; i < len(b); i += 8 {
		memory(b).word(uint64(i)).Store(0)
	}
}
