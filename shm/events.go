// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"encoding/binary"
	"slices"
)

// A frame of events is a table of places and the bytes that lie there:
//
//	entry i, 8 bytes at KeysOffset + i*8:  u32 offset, from the start of the frame
//	                                       u32 length
//
// The publisher aligns each event to eventAlign, so that records with 64-bit
// members can be used where they lie.
const (
	eventEntryBytes = 8
	eventAlign      = 8
)

// Event lends event i of a frame of events, 0 <= i < h.Rows. payload is what
// Cursor gave with h. The entry is read once and then bounded: ok is false if it
// points outside the frame, which in a frame that proves Valid means that the
// ring is corrupt. In what Next copied, ok is always true.
func Event(h *Header, payload []byte, i int) (event []byte, ok bool) {
	entry := binary.LittleEndian.Uint64(payload[int(h.KeysOffset)-HeaderBytes+i*eventEntryBytes:])
	from, length := uint64(uint32(entry)), entry>>32
	if from < HeaderBytes || from+length > uint64(len(payload))+HeaderBytes {
		return nil, false
	}
	from -= HeaderBytes
	return payload[from : from+length : from+length], true
}

// EvenEvents are the events of a frame that are all of one length and lie at one
// distance from each other, as they do where a program submits one kind of record:
// they can be walked as rows are. Event i is Length bytes at First + i*Stride of
// the payload, and in it.
type EvenEvents struct {
	First, Stride, Length uint32
	Count                 uint32 // 0: they are not, or there are none
}

// CheckEvents reports whether all events lie in the frame, and where if that can
// be said of all at once. In a lease the events' places can be used without looking
// at the table again; what lies there counts as all of a payload does.
func CheckEvents(h *Header, payload []byte) (even EvenEvents, ok bool) {
	table := payload[int(h.KeysOffset)-HeaderBytes:][:int(h.Rows)*eventEntryBytes]
	if even, ok = evenEvents(table, uint64(len(payload))); ok {
		return even, true
	}
	for i := range int(h.Rows) {
		if _, ok := Event(h, payload, i); !ok {
			return EvenEvents{}, false
		}
	}
	return EvenEvents{}, true
}

func evenEvents(table []byte, payload uint64) (even EvenEvents, ok bool) {
	if len(table) == 0 {
		return even, true
	}
	first, step := binary.LittleEndian.Uint64(table), uint64(0)
	if len(table) > eventEntryBytes {
		step = binary.LittleEndian.Uint64(table[eventEntryBytes:]) - first
	}
	count, length, offset := uint64(len(table)/eventEntryBytes), first>>32, uint64(uint32(first))
	// A step of 4 G or more is one of lengths. Where the last event is in the frame
	// no offset below it carries into a length.
	if step>>32 != 0 || offset < HeaderBytes || offset+(count-1)*step+length > payload+HeaderBytes || !rises(table, first, step) {
		return even, false
	}
	return EvenEvents{uint32(offset) - HeaderBytes, uint32(step), uint32(length), uint32(count)}, true
}

// rises reports whether each entry is step more than the one before it. It is
// asked of every frame of events that is read, so it takes four at a time.
func rises(table []byte, entry, step uint64) bool {
	for ; len(table) >= 4*eventEntryBytes; table = table[4*eventEntryBytes:] {
		wrong := binary.LittleEndian.Uint64(table) ^ entry
		wrong |= binary.LittleEndian.Uint64(table[eventEntryBytes:]) ^ (entry + step)
		wrong |= binary.LittleEndian.Uint64(table[2*eventEntryBytes:]) ^ (entry + 2*step)
		wrong |= binary.LittleEndian.Uint64(table[3*eventEntryBytes:]) ^ (entry + 3*step)
		if wrong != 0 {
			return false
		}
		entry += 4 * step
	}
	for ; len(table) > 0; table = table[eventEntryBytes:] {
		if binary.LittleEndian.Uint64(table) != entry {
			return false
		}
		entry += step
	}
	return true
}

// EventPacker lays events out in a claim: the events from its start, their table
// behind the last of them. The table is kept aside until then, because nobody
// knows how many events will follow. The zero value is ready for Reset; once its
// table has grown to what a frame needs it does not allocate.
type EventPacker struct {
	claim []byte
	used  int
	table []uint64
}

// Reset begins a frame in what Producer.Claim lent.
func (e *EventPacker) Reset(claim []byte) { e.claim, e.used, e.table = claim, 0, e.table[:0] }

// Events counts what was appended.
func (e *EventPacker) Events() int { return len(e.table) }

// Add appends events of one length, count of them and one every stride bytes, and
// says for how many of them there was room, and for their entries.
func (e *EventPacker) Add(events []byte, length, stride, count int) (added int) {
	step := (length + eventAlign - 1) &^ (eventAlign - 1)
	added = min(count, (len(e.claim)-e.used-len(e.table)*eventEntryBytes)/(step+eventEntryBytes))
	e.table = slices.Grow(e.table, added)
	entry := uint64(e.used+HeaderBytes) | uint64(length)<<32
	for range added {
		e.table = append(e.table, entry)
		entry += uint64(step)
	}
	for i := range added {
		from, to := events[i*stride:][:length], e.claim[e.used:][:step]
		e.used += step
		n := 0
		for ; n+16 <= len(from); n += 16 { // a call of memmove takes longer than a short event
			*(*[16]byte)(to[n:]) = [16]byte(from[n:])
		}
		copy(to[n:], from[n:])
		clear(to[len(from):]) // what lay there is an older frame's
	}
	return added
}

// Room is the size of the largest event that Add would take now.
func (e *EventPacker) Room() int {
	return (len(e.claim) - e.used - (len(e.table)+1)*eventEntryBytes) &^ (eventAlign - 1)
}

// EventBytes is what one event of n bytes takes in a frame.
func EventBytes(n int) int { return (n+eventAlign-1)&^(eventAlign-1) + eventEntryBytes }

// Content writes the table and describes the frame for Producer.Commit.
func (e *EventPacker) Content() Content {
	for i, entry := range e.table {
		binary.LittleEndian.PutUint64(e.claim[e.used+i*eventEntryBytes:], entry)
	}
	return Content{
		Kind: KindEvents, Rows: uint32(len(e.table)), Bytes: e.used + len(e.table)*eventEntryBytes,
		KeysOffset: uint32(e.used), KeyStride: eventEntryBytes,
	}
}
