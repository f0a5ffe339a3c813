// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"iter"
	"unsafe"
)

// In walks the events of a batch. It walks none if the batch is of another source
// or kind, or of a layout that T does not fit. An event may be longer than T:
// more is what lies behind it. One that is shorter is not shown; Batch.Event
// shows all. The pointers are valid as long as the batch.
func (e *Events[T]) In(b *Batch) iter.Seq2[*T, []byte] {
	return func(yield func(record *T, more []byte) bool) {
		if !e.fitOf(b, KindEvents).ok {
			return
		}
		first, stride, length := e.even(b)
		for i := range b.Rows {
			var event []byte
			if length >= 0 {
				event = b.payload[first+i*stride:][:length]
			} else if event = e.uneven(b, i); event == nil {
				continue
			}
			if !yield((*T)(unsafe.Pointer(unsafe.SliceData(event[:e.size]))), event[e.size:]) {
				return
			}
		}
	}
}

// even says how to walk b as rows; length is -1 if it has to be walked event by event.
func (e *Events[T]) even(b *Batch) (first, stride, length int) {
	x := &b.even
	first, stride, length = int(x.First), int(x.Stride), int(x.Length)
	if x.Count == 0 || length < e.size || (uintptr(unsafe.Pointer(unsafe.SliceData(b.payload[first:])))|uintptr(stride))&uintptr(e.align-1) != 0 {
		return 0, 0, -1
	}
	return first, stride, length
}

// uneven is an event that is shown, aligned as T has to be, or nil. What is said in
// rows_unsafe.go makes a T of it: Event has bounded the bytes, of which there are
// as many as T has, and any bits are a T. The publisher aligns events to 8, but
// nothing may be built on that: one that lies elsewhere is copied.
func (e *Events[T]) uneven(b *Batch, i int) []byte {
	event := b.Event(i)
	if len(event) < e.size {
		return nil
	}
	if uintptr(unsafe.Pointer(unsafe.SliceData(event)))&uintptr(e.align-1) == 0 {
		return event
	}
	return append(alignedBytes(len(event))[:0], event...)
}
