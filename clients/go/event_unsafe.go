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
		for i := range b.Rows {
			event := b.Event(i)
			if len(event) < e.size {
				continue
			}
			if !yield(recordOf[T](event[:e.size], e.align), event[e.size:]) {
				return
			}
		}
	}
}

// recordOf is the Go value at the front of an event. What is said in
// rows_unsafe.go makes it sound: Event has bounded the bytes, of which there are
// as many as T has, and any bits are a T. The publisher aligns events to 8, but
// nothing may be built on that: one that lies elsewhere is copied.
func recordOf[T any](event []byte, align int) *T {
	p := unsafe.Pointer(unsafe.SliceData(event))
	if uintptr(p)&uintptr(align-1) != 0 {
		p = unsafe.Pointer(unsafe.SliceData(alignedBytes(len(event))))
		copy(unsafe.Slice((*byte)(p), len(event)), event)
	}
	return (*T)(p)
}
