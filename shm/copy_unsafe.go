// SPDX-License-Identifier: Apache-2.0

//go:build !race

package shm

import (
	"sync/atomic"
	"unsafe"
)

// load copies a frame header that may be overwritten while it is read. The
// caller decides afterwards, by hw, whether the copy is worth anything.
//
// Every word is loaded once and whole, so that what is checked is what is used:
// no compiler may load an atomic again. On amd64 these are plain moves.
//
// Unsafe: the slice expression bounds the access; frames are 64-byte aligned.
func (m memory) load(off uint64, w *words) {
	b := m[off : off+HeaderBytes : off+HeaderBytes]
	src := (*[8]atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(b)))
	for i := range w {
		w[i] = src[i].Load()
	}
}

// store writes a frame header. Only the publisher calls it, for bytes at or behind
// head: who reads them meanwhile has been overtaken and throws them away, and the
// store of head puts them in order for all others.
//
// Unsafe: the slice expression bounds the access; frames are 64-byte aligned.
func (m memory) store(off uint64, w *words) {
	b := m[off : off+HeaderBytes : off+HeaderBytes]
	*(*words)(unsafe.Pointer(unsafe.SliceData(b))) = *w
}

// copyOut copies a payload that may be overwritten meanwhile. A plain copy will
// do: it is a call that reads the ring once, its result is looked at only after
// hw said that nobody wrote meanwhile, and then there is nothing it can have torn.
func copyOut(dst, src []byte) { copy(dst, src) }

// wipe zeroes bytes that an overtaken reader may still be copying.
func wipe(b []byte) { clear(b) }
