// SPDX-License-Identifier: Apache-2.0

package ringbuf

import (
	"sync/atomic"
	"unsafe"
)

// word is a position that we share with the kernel.
type word struct{ at *atomic.Uint64 }

// wordOf is the first word of a page.
//
// SAFETY: page[:8] panics if the page is shorter. It comes from mmap, or in tests
// from the heap in one piece of at least a page, so that it is aligned. The Ring
// keeps the mapping as long as the word.
func wordOf(page []byte) word {
	return word{(*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(page[:8:8])))}
}

func (w word) load() uint64   { return w.at.Load() }
func (w word) store(v uint64) { w.at.Store(v) }

// loadHeader loads a record's length and its two bits, with acquire.
//
// SAFETY: the slice expression bounds the access; the data begins on a page and
// records are looked for on multiples of 8.
func loadHeader(record []byte) uint32 {
	return atomic.LoadUint32((*uint32)(unsafe.Pointer(unsafe.SliceData(record[:HeaderBytes:HeaderBytes]))))
}
