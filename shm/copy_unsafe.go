// SPDX-License-Identifier: Apache-2.0

//go:build !race

package shm

import "unsafe"

// load copies a frame header that may be overwritten while it is read. The
// caller decides afterwards, by hw, whether the copy is worth anything.
//
// Unsafe: the slice expression bounds the access; frames are 64-byte aligned.
// The assignment reads memory once into private words, which are all that is
// interpreted from here on.
func (m memory) load(off uint64, w *words) {
	b := m[off : off+HeaderBytes : off+HeaderBytes]
	*w = *(*words)(unsafe.Pointer(unsafe.SliceData(b)))
}

// copyOut copies a payload that may be overwritten meanwhile.
func copyOut(dst, src []byte) { copy(dst, src) }

// wipe zeroes bytes that an overtaken reader may still be copying.
func wipe(b []byte) { clear(b) }
