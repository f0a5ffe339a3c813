// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"sync/atomic"
	"unsafe"
)

// memory is a mapped ring, header page first. Its address is page-aligned, and
// every offset handed to it comes from layout.go or has been bounded by a
// validated Geometry, so that the accesses below stay inside and aligned.
type memory []byte

// word is the shared 64-bit word at offset off.
//
// Unsafe: m[off:off+8] panics when out of range, and off is a multiple of 8 in
// page-aligned memory, which is all that an atomic needs. The result must not
// outlive the mapping; Ring and Publisher own both.
func (m memory) word(off uint64) *atomic.Uint64 {
	b := m[off : off+8 : off+8]
	return (*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(b)))
}
