// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"encoding/binary"
	"unsafe"
)

// Get is the value of a key.
func (t *Table[K, V]) Get(key K) (value V, ok bool) {
	// The fewer instructions this takes, the more lookups the processor has under way at once, and it is
	// memory that each of them waits for. So the hash is made here, too, without a call for the sizes of key
	// that most maps have, and so is the first look, which is the last one in most cases: it is at the first
	// row of the key's group that has its tag.
	//
	// In bounds: home is a group of the tags, and there are rows of this stride for all tags, except where
	// there is no room for any, and no tag is ever set there. For the rest see store_unsafe.go.
	if len(t.holes) > 0 {
		fillHoles(bytesOf(&key), t.holes)
	}
	var h uint32
	switch le, p := binary.LittleEndian, unsafe.Pointer(&key); unsafe.Sizeof(key) { // as seed.hash does it
	case 4:
		a := uint64(le.Uint32((*[4]byte)(p)[:]))
		h = t.seed.mix(a|a<<32, a|a<<32)
	case 8:
		a := le.Uint64((*[8]byte)(p)[:])
		h = t.seed.mix(a, a)
	case 16:
		h = t.seed.mix(le.Uint64((*[16]byte)(p)[:]), le.Uint64((*[16]byte)(p)[8:]))
	default:
		h = t.seed.hash(bytesOf(&key))
	}
	valueAt := pad(unsafe.Sizeof(key))
	stride := valueAt + pad(unsafe.Sizeof(value))
	for { // as often as the copy at hand was overwritten meanwhile
		s := t.shown.Load()
		number, still := s.guard.enter()
		if !still {
			continue
		}
		from := s.home(h)
		eight := binary.LittleEndian.Uint64((*[group]byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(s.tags)), from))[:])
		if same := withTag(eight, h); same != 0 && uintptr(s.stride) == stride {
			row := unsafe.Add(unsafe.Pointer(unsafe.SliceData(s.rows)), uintptr(from+slotOf(same))*stride)
			if equalKeys((*K)(row), &key) {
				value = *(*V)(unsafe.Add(row, valueAt))
				if s.guard.leave(number) {
					return value, true
				}
				continue
			}
		}
		var none V
		value, ok = none, false
		if found := lookup[K, V](s, h, &key); found != nil {
			value, ok = *found, true
		}
		if s.guard.leave(number) {
			return value, ok
		}
	}
}
