// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"encoding/binary"
	"unsafe"
)

// This file turns rows of a store into Go values and back. Why that is sound: a
// row's key and value begin on multiples of 8 of memory that is aligned to 8, no
// plain type needs more; they have exactly the size of K and V, which the view
// of the source has checked, as it has that neither holds a Go pointer, so that
// any bits are a value; and every row is sliced out of the store, which bounds it.

// alignedBytes is zeroed memory, aligned for every plain type.
func alignedBytes(n int) []byte {
	words := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), len(words)*8)[:n:n]
}

// sameKey compares keys of one size as the kernel does, byte by byte. The small
// sizes that most maps have are spared a call.
func sameKey(a, b []byte) bool {
	if len(a) == len(b) {
		switch p, q := unsafe.Pointer(unsafe.SliceData(a)), unsafe.Pointer(unsafe.SliceData(b)); len(a) {
		case 4: // as arrays of bytes: what a caller looks up need not be aligned
			return *(*[4]byte)(p) == *(*[4]byte)(q)
		case 8:
			return *(*[8]byte)(p) == *(*[8]byte)(q)
		case 16:
			return *(*[16]byte)(p) == *(*[16]byte)(q)
		}
	}
	return string(a) == string(b)
}

// lookup is store.find for a K and a V, of which the compiler knows the sizes:
// the value, or nil.
func lookup[K, V any](s *store, h uint32, key *K) *V {
	var none V
	valueAt := pad(unsafe.Sizeof(*key))
	stride := valueAt + pad(unsafe.Sizeof(none))
	if uintptr(s.keySize) != unsafe.Sizeof(*key) || uintptr(s.valueSize) != unsafe.Sizeof(none) {
		return nil // of a map that K and V do not fit no row is ever stored
	}
	tags, rows := unsafe.Pointer(unsafe.SliceData(s.tags)), unsafe.Pointer(unsafe.SliceData(s.rows))
	from := s.home(h)
	for range len(s.tags) / group {
		eight := binary.LittleEndian.Uint64((*[group]byte)(unsafe.Add(tags, from))[:])
		for same := withTag(eight, h); same != 0; same &= same - 1 {
			row := unsafe.Add(rows, uintptr(from+slotOf(same))*stride)
			if equalKeys((*K)(row), key) {
				return (*V)(unsafe.Add(row, valueAt))
			}
		}
		if ^eight&highest != 0 {
			return nil
		}
		if from += group; from == len(s.tags) {
			from = 0
		}
	}
	return nil
}

// equalKeys is sameKey for keys whose size the compiler knows.
func equalKeys[K any](a, b *K) bool {
	switch p, q := unsafe.Pointer(a), unsafe.Pointer(b); unsafe.Sizeof(*a) {
	case 4:
		return *(*[4]byte)(p) == *(*[4]byte)(q)
	case 8:
		return *(*[8]byte)(p) == *(*[8]byte)(q)
	case 16:
		return *(*[16]byte)(p) == *(*[16]byte)(q)
	}
	return string(bytesOf(a)) == string(bytesOf(b))
}

// bytesOf is the memory of *p.
func bytesOf[T any](p *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(p)), unsafe.Sizeof(*p))
}

// valueOf is what a part of a row is in Go.
func valueOf[T any](b []byte) *T {
	var none T
	if uintptr(len(b)) != unsafe.Sizeof(none) {
		panic("ringside: a row of another size")
	}
	return (*T)(unsafe.Pointer(unsafe.SliceData(b)))
}

// slotsOf are the values of a per-CPU row, whose slots are multiples of 8: the
// view of the source has checked that one holds a V.
func slotsOf[V any](b []byte, cpus int) Slots[V] {
	if len(b) == 0 || cpus == 0 {
		return Slots[V]{}
	}
	return Slots[V]{unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b) / cpus), cpus}
}

// bytes is the memory of all slots.
func (s Slots[V]) bytes() []byte { return unsafe.Slice((*byte)(s.base), s.cpus*int(s.stride)) }
