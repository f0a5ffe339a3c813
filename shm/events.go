// SPDX-License-Identifier: Apache-2.0

package shm

import "encoding/binary"

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

// eventsOK reports whether every event lies in the frame.
func eventsOK(h *Header, payload []byte) bool {
	for i := range int(h.Rows) {
		if _, ok := Event(h, payload, i); !ok {
			return false
		}
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

// Add appends an event, and reports whether there was room for it and its entry.
func (e *EventPacker) Add(event []byte) bool {
	room := e.Room()
	if len(event) > room {
		return false
	}
	copy(e.claim[e.used:], event)
	e.table = append(e.table, uint64(e.used+HeaderBytes)|uint64(len(event))<<32)
	e.used += len(event)
	for ; e.used%eventAlign != 0; e.used++ {
		e.claim[e.used] = 0 // what lay there is an older frame's
	}
	return true
}

// Room is the size of the largest event that Add would take now.
func (e *EventPacker) Room() int {
	return (len(e.claim) - e.used - (len(e.table)+1)*eventEntryBytes) &^ (eventAlign - 1)
}

// EventBytes is what one event of n bytes takes in a frame.
func EventBytes(n int) int { return (n+eventAlign-1)&^(eventAlign-1) + eventEntryBytes }

// Content writes the table and describes the frame for Producer.Commit.
func (e *EventPacker) Content(timeNS uint64) Content {
	for i, entry := range e.table {
		binary.LittleEndian.PutUint64(e.claim[e.used+i*eventEntryBytes:], entry)
	}
	return Content{
		Kind: KindEvents, Rows: uint32(len(e.table)), Bytes: e.used + len(e.table)*eventEntryBytes,
		KeysOffset: uint32(e.used), KeyStride: eventEntryBytes, TimeNS: timeNS,
	}
}
