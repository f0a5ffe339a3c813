// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"encoding/binary"
	"fmt"
	"reflect"

	"github.com/ringside-bpf/ringside/shm"
)

// eventEntry is the size of an entry of a frame's table of events: u32 offset
// from the start of the frame, u32 length.
const eventEntry = 8

// Event is event i of a batch of [KindEvents], 0 <= i < Rows, in the order in
// which the kernel gave them. The bytes must not be written. In a batch of
// [Subscription.View] it is nil if it has been overwritten so far that nothing
// of it can be shown; View will say that the batch was not valid.
func (b *Batch) Event(i int) []byte {
	if b.Kind != KindEvents || uint(i) >= uint(b.rows) {
		panic(outOfRange(i, b.rows))
	}
	if e := &b.even; e.Count > 0 {
		at := uint64(e.First) + uint64(i)*uint64(e.Stride)
		return b.payload[at : at+uint64(e.Length) : at+uint64(e.Length)]
	}
	// Read once, then bounded: the next moment it may be another.
	entry := binary.LittleEndian.Uint64(b.payload[int(b.keysAt)+i*eventEntry:])
	from, length := uint64(uint32(entry)), entry>>32
	if from < shm.HeaderBytes || from+length > uint64(len(b.payload))+shm.HeaderBytes {
		return nil
	}
	from -= shm.HeaderBytes
	return b.payload[from : from+length : from+length]
}

// Events shows the records of a ring buffer as Go values in place. T is compared
// with the record type that the sidecar knows, as the types of [Rows] are.
//
// Events is safe for concurrent use on one batch.
type Events[T any] struct {
	view
	size, align int
}

// EventsOf makes the typed view of the source of that name. The error is a
// [*LayoutError] where T does not describe its records, or where the source has
// rows and no events, and [ErrNoSource] where there is none. Without a record
// type nothing can be compared.
func EventsOf[T any](s *Subscription, source string) (*Events[T], error) {
	typ := reflect.TypeFor[T]()
	made, err := s.addView(source, func(src *Source) (fit, error) { return eventsFit(src, typ) })
	if err != nil {
		return nil, err
	}
	return &Events[T]{made, int(typ.Size()), typ.Align()}, nil
}

func eventsFit(src *Source, typ reflect.Type) (fit, error) {
	if !src.Events {
		return fit{}, src.wrongSort(whole(typ).String(), "it has rows and no events", fmt.Sprintf("use RowsOf[K, %s]", whole(typ).path))
	}
	m := matcher{source: src.Name, side: sideValue}
	t, size := src.side(sideValue)
	if t == nil {
		size = int(typ.Size()) // nobody knows better
	}
	err := m.match(typ, t, size)
	return fit{ok: err == nil}, err
}

// requireRows refuses a source of events.
func (src *Source) requireRows(goName string) error {
	if src.Events {
		return src.wrongSort(goName, "it has events and no rows", "use EventsOf")
	}
	return nil
}

func (src *Source) wrongSort(goName, reason, remedy string) error {
	return &LayoutError{Source: src.Name, Go: goName, GoOffset: -1, C: sideValue, COffset: -1, Reason: reason, Remedy: remedy}
}
