// SPDX-License-Identifier: Apache-2.0

package ringbuf

import (
	"errors"
	"fmt"

	"github.com/ringside-bpf/ringside/shm/fence"
)

// HeaderBytes stand before each record.
const HeaderBytes = 8

const (
	busyBit    = 1 << 31
	discardBit = 1 << 30
	lengthMask = discardBit - 1
)

// ErrCorrupt: what lies at the position is no record. Somebody else has moved
// the position, or writes to the memory.
var ErrCorrupt = errors.New("no record at the ringbuf's read position")

// maxRun bounds a Run, so that what has been looked at is still in the cache when
// it is copied.
const maxRun = 256

// Bytes is what a record of n bytes takes in the buffer.
func Bytes(n int) int { return (n + HeaderBytes + 7) &^ 7 }

// Run is some records of one length, one behind the other. To take many at once
// is several times faster than one by one.
type Run struct {
	Records []byte // from the first one's first byte to the last one's last
	Length  int    // of each
	Count   int    // 0: there is none
}

// Stride is from one record to the next.
func (r Run) Stride() int { return Bytes(r.Length) }

// Ring is a mapped ringbuf. One goroutine at a time uses it; it allocates
// nothing once it is made.
type Ring struct {
	consumer, producer word
	data               []byte // twice the buffer
	size, mask         uint64

	pos      uint64 // of the first record that Peek shows; a multiple of 8
	stride   uint64 // of the records that Peek has shown
	end      uint64 // of what the producer had when last looked at
	released uint64 // consumer position as it was last stored, by us or before our eyes
	kept     uint64 // everything before it is done with

	discarded uint64
	unmap     func() error
}

// newRing begins at the position where the last reader left off.
func newRing(consumer, producer, data []byte) *Ring {
	size := uint64(len(data)) / 2
	r := &Ring{consumer: wordOf(consumer), producer: wordOf(producer), data: data, size: size, mask: size - 1}
	r.released = r.consumer.load()
	r.pos = r.released &^ 7 // of another reader's making, if it is anything else
	r.kept, r.end = r.pos, r.pos
	return r
}

// Peek lends the next records, or none: nothing was written, or what was is not
// yet submitted. Discarded records are passed over. The bytes stay until Release.
//
// Ordering: a record's length is stored before the producer position passes it,
// and its busy bit is cleared after its bytes were stored. Both are loaded with
// acquire, in that order.
func (r *Ring) Peek() (Run, error) {
	for {
		if r.pos == r.end {
			switch r.end = r.producer.load(); {
			case r.pos == r.end:
				return Run{}, nil
			case r.end-r.pos > r.size: // somebody else has moved the position
				return Run{}, fmt.Errorf("%w: position %d, %d bytes were written", ErrCorrupt, r.pos, r.end)
			}
		}
		at := r.pos & r.mask
		header := loadHeader(r.data[at : at+HeaderBytes])
		if header&busyBit != 0 {
			return Run{}, nil
		}
		length := uint64(header & lengthMask)
		total := (length + HeaderBytes + 7) &^ 7
		// The kernel's own numbers, unless the position was moved to where no
		// record begins. end-pos is at most the buffer's size, so no record
		// leaves the second mapping.
		if total > r.end-r.pos {
			return Run{}, fmt.Errorf("%w: %d bytes at %d, %d were written", ErrCorrupt, length, r.pos, r.end-r.pos)
		}
		if header&discardBit != 0 {
			r.pos += total
			r.discarded++
			continue
		}
		r.stride = total
		count := r.alike(header, total)
		from, to := at+HeaderBytes, at+HeaderBytes+(count-1)*total+length
		return Run{r.data[from:to:to], int(length), int(count)}, nil
	}
}

// alike counts the records from pos on that have this very header: as long, and
// submitted. A header is loaded with acquire before its record is lent.
func (r *Ring) alike(header uint32, total uint64) uint64 {
	most := min((r.end-r.pos)/total, maxRun)
	data := r.data[r.pos&r.mask:]
	for n := uint64(1); n < most; n++ {
		if loadHeader(data[n*total:]) != header {
			return n
		}
	}
	return most
}

// Advance leaves the first n of the records that Peek showed.
func (r *Ring) Advance(n int) { r.pos += uint64(n) * r.stride }

// Release tells the kernel that everything before the records that Peek shows, or
// would show, may be overwritten.
//
// Ordering: the store is sequentially consistent, and so is the kernel's clearing
// of the busy bit before it looks whether the reader stands at that very record,
// in which case it wakes the reader. So one that looks again after Release, finds
// nothing and sleeps does not miss the record.
func (r *Ring) Release() {
	if r.pos != r.released {
		r.consumer.store(r.pos)
		r.released = r.pos
	}
	r.kept = r.pos
}

// Unreleased tells whether Release has something to say.
func (r *Ring) Unreleased() bool { return r.pos != r.released }

// Ready tells, as cheaply as can be, whether Peek would find something.
func (r *Ring) Ready() bool {
	if r.producer.load() == r.pos {
		return false
	}
	at := r.pos & r.mask
	return loadHeader(r.data[at:at+HeaderBytes])&busyBit == 0
}

// Backlog is how many bytes of records were reserved and not yet left. Any
// goroutine may ask.
func (r *Ring) Backlog() int { return int(min(r.producer.load()-r.consumer.load(), r.size)) }

// Pending is how many bytes there are from the records that Peek shows on, as far
// as was seen.
func (r *Ring) Pending() int { return int(min(r.end-r.pos, r.size)) }

// Discarded counts the records that were passed over.
func (r *Ring) Discarded() uint64 { return r.discarded }

// Size of the buffer in bytes. A record is less by two headers.
func (r *Ring) Size() int { return int(r.size) }

// Foreign tells whether somebody else has moved the position since it was
// released. Asked after a copy, it says whether the copy may be believed: the
// kernel overwrites nothing behind a position that did not move.
//
// Ordering: the kernel loads the position with acquire before it overwrites what
// lies before it. If the copy holds one byte that was overwritten, then the move
// came before that, and is seen by a load that no load of the copy is delayed past.
func (r *Ring) Foreign() bool {
	fence.LoadLoad()
	return r.consumer.load() != r.released
}

// Resync goes on from where somebody else has moved the position to, or, if that
// is no place where a record can be, from what was last released. What was moved
// back is not read again. It returns how far the position was moved without us.
func (r *Ring) Resync() (moved int64) {
	theirs, end := r.consumer.load(), r.producer.load()
	moved = int64(theirs - r.released)
	r.pos = r.kept
	switch {
	case end-theirs <= r.size && theirs-r.pos <= end-r.pos:
		r.pos = theirs &^ 7
	case end-r.pos > r.size: // theirs is nonsense and ours is overwritten
		r.pos = end &^ 7
	}
	r.kept, r.end, r.released = r.pos, end, theirs
	return moved
}

// Skip gives up everything that was written so far: the way on after ErrCorrupt,
// as the producer position is always the start of a record. It returns how many
// bytes were given up.
func (r *Ring) Skip() int {
	r.end = r.producer.load()
	lost := min(r.end-r.pos, r.size)
	r.pos = r.end &^ 7
	return int(lost)
}

// Close gives the mapping back. What Peek has lent is gone with it.
func (r *Ring) Close() error {
	if r.unmap == nil {
		return nil
	}
	unmap := r.unmap
	r.unmap = nil
	return unmap()
}
