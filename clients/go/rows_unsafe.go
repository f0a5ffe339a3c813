// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"iter"
	"unsafe"
)

// This file turns bytes of a frame into pointers to Go values. Why that is sound:
//
//   - In bounds: the cursor has checked that every key and value of the frame
//     lies in its payload, and view.fit that K and V have exactly their sizes.
//     Only rows below the frame's own count are ever pointed to, so that no
//     pointer leaves the payload, not even by one.
//   - Aligned: tighten moves rows that are not.
//   - Any bits are a value: K and V hold no Go pointers (checkPlain), so neither
//     the garbage collector nor a torn read in a lease can follow one.
//   - Alive: the pointers keep a batch's copy alive. A lease's memory is mapped
//     until the subscription is closed or attached anew, and its pointers must
//     not outlive the closure they were lent to.
//
// The functions that In returns are written so that the compiler inlines them,
// and the body of the loop into them: one call, closures that are called once,
// and columns as five values that stay in registers.

// In walks the rows of a batch. It walks none if the batch is of another source
// or kind, or of a layout that K and V do not fit. The pointers are valid as
// long as the batch.
func (r *Rows[K, V]) In(b *Batch) iter.Seq2[*K, *V] {
	return func(yield func(*K, *V) bool) {
		keys, keyStride, values, valueStride, rows := r.columns(b)
		for i := range rows {
			if !yield((*K)(unsafe.Add(keys, i*keyStride)), (*V)(unsafe.Add(values, i*valueStride))) {
				return
			}
		}
	}
}

// In walks the rows of a batch as [Rows.In] does.
func (r *PerCPURows[K, V]) In(b *Batch) iter.Seq2[*K, Slots[V]] {
	return func(yield func(*K, Slots[V]) bool) {
		keys, keyStride, values, valueStride, rows := r.columns(b)
		cpus, stride := b.slots()
		for i := range rows {
			if !yield((*K)(unsafe.Add(keys, i*keyStride)), Slots[V]{unsafe.Add(values, i*valueStride), stride, cpus}) {
				return
			}
		}
	}
}

// Slots are the values of one row, one for each possible CPU. CPUs that never
// were online have zeros.
type Slots[V any] struct {
	base   unsafe.Pointer
	stride uintptr
	cpus   int
}

// Len is the number of possible CPUs.
func (s Slots[V]) Len() int { return s.cpus }

// On is the value of one CPU, 0 <= cpu < Len().
func (s Slots[V]) On(cpu int) *V {
	if uint(cpu) >= uint(s.cpus) {
		panic("ringside: no such CPU")
	}
	return (*V)(unsafe.Add(s.base, uintptr(cpu)*s.stride))
}

func (b *Batch) slots() (cpus int, stride uintptr) {
	if b.Source == nil || b.Source.CPUs == 0 {
		return 0, 0
	}
	return b.Source.CPUs, uintptr(b.Source.ValueSize / b.Source.CPUs)
}

// columns finds the rows of b, or none.
func (v *rowView) columns(b *Batch) (keys unsafe.Pointer, keyStride uintptr, values unsafe.Pointer, valueStride, rows uintptr) {
	if b.rows == 0 || !v.fit(b).ok {
		return nil, 0, nil, 0, 0
	}
	// Slicing bounds the addresses once more, by the bytes at hand.
	keys, keyStride = unsafe.Pointer(unsafe.SliceData(b.payload[b.keysAt:])), uintptr(b.keyStride)
	values, valueStride = unsafe.Pointer(unsafe.SliceData(b.payload[b.valuesAt:])), uintptr(b.valueStride)
	rows = uintptr(b.rows)
	if (uintptr(keys)|keyStride)&(v.keyAlign-1) != 0 {
		keys, keyStride = b.tighten(b.keySize, b.Key)
	}
	if (uintptr(values)|valueStride)&(v.valueAlign-1) != 0 {
		values, valueStride = b.tighten(b.valueSize, b.Value)
	}
	return keys, keyStride, values, valueStride, rows
}

// tighten copies a column into aligned memory. No engine of ringside lays rows
// out so that this is needed, but the protocol does not forbid it.
func (b *Batch) tighten(size uint32, row func(i int) []byte) (column unsafe.Pointer, stride uintptr) {
	const word = unsafe.Sizeof(uint64(0)) // no plain Go type needs more
	stride = (uintptr(size) + word - 1) &^ (word - 1)
	room := make([]uint64, uintptr(b.rows)*stride/word)
	column = unsafe.Pointer(unsafe.SliceData(room))
	bytes := unsafe.Slice((*byte)(column), uintptr(len(room))*word)
	for i := range uintptr(b.rows) {
		copy(bytes[i*stride:], row(int(i)))
	}
	return column, stride
}
