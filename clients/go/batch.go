// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"fmt"
	"time"

	"github.com/ringside-bpf/ringside/shm"
)

// Kind says what a [Batch] tells.
type Kind uint8

const (
	// KindRows: keys with their values, as one read of the map gave them.
	KindRows Kind = iota + 1
	// KindDeletes: keys that are no longer in the map. There are no values.
	KindDeletes
	// KindLost: the ring overtook this reader, and Batch.Lost was missed
	// before the batch that follows.
	KindLost
	// KindGone: the sidecar is gone; told as soon as it is noticed, within a
	// second. Rows that it had published before may still follow, and
	// KindRestart does once a sidecar is back.
	KindGone
	// KindRestart: attached again, to a new ring. Batch.Lost says what of the
	// new ring was missed, and whether that is all. Sources have new numbers,
	// their Scan and Seq begin again.
	KindRestart
	// KindHangs: the sidecar is there and gives no sign of life: it hangs or is
	// stopped. Told once, after two to three seconds; rows that it had published
	// before may still follow. When it goes on, so do the rows.
	KindHangs
	// KindEvents: records of a ring buffer; see [Batch.Event] and [EventsOf].
	KindEvents
	// KindEvicted: this reader held a lossless ring up for too long, and the
	// sidecar waits for it no more. From here on rows may be lost, exactly
	// counted, as on any other ring. Told once.
	KindEvicted
)

func (k Kind) String() string {
	switch k {
	case KindRows:
		return "rows"
	case KindDeletes:
		return "deletes"
	case KindLost:
		return "lost"
	case KindGone:
		return "gone"
	case KindRestart:
		return "restart"
	case KindHangs:
		return "hangs"
	case KindEvents:
		return "events"
	case KindEvicted:
		return "evicted"
	}
	return "unknown"
}

// Loss counts what a reader did not get. It counts the ring, whose frames belong
// to all of its sources: nobody can tell what a frame held that was never seen.
type Loss struct {
	Frames, Rows uint64
	// Exact is false when more may have been lost than can be counted: the
	// sidecar ended without saying goodbye.
	Exact bool
}

// Batch is one step of the stream: the rows of one frame, or a remark about the
// stream itself.
//
// Lifetime: a Batch, and every byte got from it, is valid until the loop goes on
// (in [Subscription.View], until the function returns). It is overwritten then,
// not freed: keeping a pointer is a bug that shows as changing data. Until then
// it may be read by several goroutines at once.
type Batch struct {
	Kind   Kind
	Source *Source // nil in all kinds but KindRows, KindDeletes and KindEvents
	Rows   int     // how many keys or events there are
	Seq    uint64  // number of the frame in its ring
	Scan   uint64  // number of the scan of its source
	TimeNS uint64  // CLOCK_MONOTONIC when the rows had been read, or the events were published

	First    bool // first batch of a scan
	Last     bool // last batch of a scan; it may hold no rows
	Keyframe bool // the scan is complete in itself, not a set of changes

	Lost Loss // KindLost and KindRestart

	// What the accessors use. Checked against the frame's length by the
	// cursor, and not the caller's to change.
	payload      []byte
	lent         bool // payload is the ring
	sourceSeq    uint32
	rows         uint32
	keysAt       uint32 // in payload
	keyStride    uint32
	keySize      uint32
	valuesAt     uint32
	valueStride  uint32
	valueSize    uint32
	realtimeDiff int64
	even         shm.EvenEvents
}

// Key is row i's key, 0 <= i < Rows. The bytes must not be written.
func (b *Batch) Key(i int) []byte {
	if uint(i) >= uint(b.rows) {
		panic(outOfRange(i, b.rows))
	}
	return b.key(i)
}

// key is Key where i is known to be a row.
func (b *Batch) key(i int) []byte {
	return b.payload[uint64(b.keysAt)+uint64(i)*uint64(b.keyStride):][:b.keySize:b.keySize]
}

// Value is row i's value, all CPUs of it if the source is per CPU; nil in a
// batch of deletes. The bytes must not be written.
func (b *Batch) Value(i int) []byte {
	if uint(i) >= uint(b.rows) {
		panic(outOfRange(i, b.rows))
	}
	if b.Kind != KindRows {
		return nil
	}
	return b.value(i)
}

// value is Value where i is known to be a row, and has a value.
func (b *Batch) value(i int) []byte {
	return b.payload[uint64(b.valuesAt)+uint64(i)*uint64(b.valueStride):][:b.valueSize:b.valueSize]
}

// Time is the time of day of TimeNS.
func (b *Batch) Time() time.Time { return time.Unix(0, int64(b.TimeNS)+b.realtimeDiff) }

func outOfRange(i int, rows uint32) string {
	return fmt.Sprintf("ringside: row %d of a batch of %d", i, rows)
}

// remark makes b a batch without rows.
func (b *Batch) remark(kind Kind, lost Loss) *Batch {
	*b = Batch{Kind: kind, Lost: lost}
	return b
}

// frame makes b the batch of a frame that the cursor has checked. It reports
// whether its events are in it, as all others must be.
func (b *Batch) frame(src *Source, h *shm.Header, payload []byte, realtime int64) (ok bool) {
	*b = Batch{
		Kind: kindOf(h.Kind), Source: src, Rows: int(h.Rows), Seq: h.Seq, Scan: h.Scan, TimeNS: h.TimeNS,
		First: h.Flags&shm.FlagFirst != 0, Last: h.Flags&shm.FlagLast != 0, Keyframe: h.Flags&shm.FlagKeyframe != 0,
		payload: payload, sourceSeq: h.SourceSeq, rows: h.Rows,
		keysAt: h.KeysOffset - shm.HeaderBytes, keyStride: h.KeyStride, keySize: uint32(src.KeySize),
		valuesAt: h.ValuesOffset - shm.HeaderBytes, valueStride: h.ValueStride, valueSize: uint32(src.ValueSize),
		realtimeDiff: realtime,
	}
	if h.Kind != shm.KindEvents {
		return true
	}
	b.even, ok = shm.CheckEvents(h, payload)
	return ok
}
