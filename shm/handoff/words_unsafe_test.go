// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"sync/atomic"
	"unsafe"
)

// putWord stores a shared word as a client of another language would.
//
// Unsafe: the slice expression bounds the access; b is a mapped page and off a
// multiple of 8, so the word is aligned.
func putWord(b []byte, off int, v uint64) {
	(*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(b[off : off+8]))).Store(v)
}
