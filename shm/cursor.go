// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"fmt"

	"github.com/ringside-bpf/ringside/shm/fence"
)

// Status is what a cursor found.
type Status int

const (
	// Ready: there is a frame.
	Ready Status = iota
	// Empty: nothing new yet.
	Empty
	// Ended: everything was read and nothing will follow; Ring.State says why.
	Ended
	// Lapped: the publisher is so fast that no frame could be caught within a
	// bounded number of tries. Try again; the loss will be counted exactly.
	Lapped
	// Corrupt: the ring contradicts itself. Cursor.Err says how. Final.
	Corrupt
)

// maxTries bounds one call: pads skipped and laps resumed from.
const maxTries = 64

// Loss counts what a cursor did not get, exactly.
type Loss struct {
	Frames, Rows uint64
	Laps         uint64 // how often it was overtaken
}

// Cursor reads the frames of a ring in order. It keeps what it knows in private
// memory and looks at no header before head says that it is whole. Reading a
// frame makes no system call and allocates nothing. Not safe for concurrent use.
//
// A frame is looked at with Peek, used, proved by Valid and left by Advance; or
// copied by Next, which does all of it.
type Cursor struct {
	ring    *Ring
	pos     Position
	left    Position // of the frame that was left last
	resumed bool     // the last step was a jump, so Seq may be higher than expected
	lapped  bool     // and so it was a lap that has not been counted yet
	source  uint16
	start   Start
	sizes   []rowSizes // by source
	current Header
	loss    Loss // since the cursor began
	pending Loss // found with the current frame
	page    *ControlPage
	err     error
}

// NewCursor starts reading at pos, which came from the sidecar. start and source
// say where to resume after a lap, as they did for Attach. A source that another
// map has superseded by then stands for its successor.
func NewCursor(r *Ring, pos Position, start Start, source uint16) *Cursor {
	pos.Offset &^= frameAlign - 1
	return &Cursor{ring: r, pos: pos, start: start, source: source}
}

// Report makes the cursor keep page up to date with how far it is.
func (c *Cursor) Report(page *ControlPage) { c.page = page }

// Position is where the cursor stands: before the frame that Peek shows.
func (c *Cursor) Position() Position { return c.pos }

// Loss is everything lost so far, up to the frames that were left by Advance.
func (c *Cursor) Loss() Loss { return c.loss }

// Err says why the ring is corrupt.
func (c *Cursor) Err() error { return c.err }

// Peek finds the next frame and lends its payload: offsets in h count from 64
// bytes before it. The bytes may be overwritten at any time; nothing read from
// them may be believed, or leave the caller, before Valid has said so. lost is
// what was missed before this frame; it counts once the frame is left.
//
// Ordering: head is loaded with acquire, so the frame is whole if it is still
// there. Whether it is still there is only known afterwards, from hw: the copy of
// the header is complete before hw is loaded (loadLoad), and hw was raised
// before anything was overwritten (storeStore in reserve).
func (c *Cursor) Peek() (h Header, payload []byte, lost Loss, s Status) {
	if c.err != nil {
		return h, nil, lost, Corrupt
	}
	var w words
	for range maxTries {
		head := c.ring.shared.head.Load()
		if c.pos.Offset == head {
			return h, nil, lost, c.nothing(head)
		}
		at := c.pos.Offset & c.ring.mask
		// The payload's first line comes while the header does, and nothing is made
		// of it: behind a frame without payload it is not this frame's.
		c.ring.data.word((at + HeaderBytes) & c.ring.mask).Load()
		c.ring.data.load(at, &w)
		fence.LoadLoad()
		if c.overtaken() {
			c.resume()
			continue
		}
		h.decode(&w)
		if err := c.check(&h, head); err != nil {
			c.err = err
			return h, nil, lost, Corrupt
		}
		if h.Kind == KindPad {
			c.pos.Offset += uint64(h.Length)
			c.report()
			continue
		}
		c.current = h
		c.pending = Loss{Frames: h.Seq - c.pos.Seq, Rows: h.RowsBefore - c.pos.Rows}
		if c.lapped {
			c.pending.Laps = 1
		}
		from := c.pos.Offset & c.ring.mask
		return h, c.ring.data[from+HeaderBytes : from+uint64(h.Length) : from+uint64(h.Length)], c.pending, Ready
	}
	return h, nil, lost, Lapped
}

// Linger looks at head until there is something new, looks times at most, and
// reports whether there is. It is for who waits awake.
func (c *Cursor) Linger(looks int) bool {
	for range looks {
		if c.ring.shared.head.Load() != c.pos.Offset {
			c.fetch()
			return true
		}
	}
	return false
}

// fetch asks for the lines that Peek will look at, so that they come while the
// caller is on its way there. Nothing is made of them.
func (c *Cursor) fetch() {
	at := c.pos.Offset & c.ring.mask
	c.ring.data.word(at).Load()
	c.ring.data.word((at + HeaderBytes) & c.ring.mask).Load()
	c.ring.shared.hw.Load()
}

// Again is a cursor before the frame that was left last, to read it once more,
// or a later one if that is gone. It reports to nobody.
func (c *Cursor) Again() Cursor {
	again := *c
	again.pos, again.page = c.left, nil
	return again
}

// nothing tells an idle ring from one that has ended. The state is stored after
// the final head, so head is loaded once more behind it.
func (c *Cursor) nothing(head uint64) Status {
	if c.ring.State() != StateLive && c.ring.shared.head.Load() == head {
		return Ended
	}
	return Empty
}

// Valid reports whether everything read from the payload since Peek was still
// the frame. If not, the cursor has resumed at a later one; Peek again.
func (c *Cursor) Valid() bool {
	fence.LoadLoad() // every load of the payload is complete before hw is loaded
	if c.overtaken() {
		c.resume()
		return false
	}
	return true
}

// Advance leaves the frame that Peek showed.
func (c *Cursor) Advance() {
	h := &c.current
	c.loss.Frames += c.pending.Frames
	c.loss.Rows += c.pending.Rows
	c.loss.Laps += c.pending.Laps
	c.left = c.pos
	c.pos.Offset += uint64(h.Length)
	c.pos.Seq, c.pos.Rows = h.Seq+1, h.RowsBefore+uint64(h.Rows)
	c.resumed, c.lapped = false, false
	c.report()
}

// Next copies the next frame's payload to the front of buf and leaves the frame.
// buf must hold the ring's largest frame; the result is a part of it. The events
// of a frame of events are all inside it.
func (c *Cursor) Next(buf []byte) (h Header, payload []byte, lost Loss, s Status) {
	for range maxTries {
		var lent []byte
		h, lent, lost, s = c.Peek()
		if s != Ready {
			return h, nil, lost, s
		}
		payload = buf[:len(lent)]
		copyOut(payload, lent)
		if c.Valid() {
			if h.Kind == KindEvents && !eventsOK(&h, payload) {
				c.err = fmt.Errorf("%w: frame at %d has events outside itself", ErrCorrupt, c.pos.Offset)
				return h, nil, Loss{}, Corrupt
			}
			c.Advance()
			return h, payload, lost, Ready
		}
	}
	return h, nil, Loss{}, Lapped
}

func eventsOK(h *Header, payload []byte) bool {
	_, ok := CheckEvents(h, payload)
	return ok
}

func (c *Cursor) overtaken() bool {
	return c.ring.shared.hw.Load()-c.pos.Offset > c.ring.geometry.DataBytes
}

// resume jumps to a frame that is still there. What was skipped is known when
// that frame's header is: it carries the counts of everything before it.
func (c *Cursor) resume() {
	c.resumed, c.lapped = true, true
	var to uint64
	switch {
	case c.start == StartHead:
		to = c.ring.shared.last.Load()
	case c.start == StartKeyframe && c.source != AnySource:
		c.source = c.ring.successor(c.source)
		to = c.ring.keyframe(int(c.source))
	default:
		to = c.ring.shared.tail.Load()
	}
	// A keyframe's place is stored a moment before head passes the keyframe.
	if to <= c.pos.Offset || to >= c.ring.shared.head.Load() || c.ring.shared.hw.Load()-to > c.ring.geometry.DataBytes {
		to = c.ring.shared.last.Load()
	}
	c.pos.Offset = to &^ (frameAlign - 1) // what a hostile image says stays in bounds, too
}

// successor is the source that has source's name now: itself, unless another map
// took its place. A record names a later one or lies, so that following ends.
func (r *Ring) successor(source uint16) uint16 {
	n := int(source)
	for n < r.Sources() {
		state, by := r.SourceState(n)
		if state != SourceSuperseded || by <= n || by >= r.Sources() {
			break
		}
		n = by
	}
	return uint16(n)
}

// check holds a header against the ring. A header that passed the hw check is
// exactly what the publisher wrote, so whatever fails here is not bad luck.
func (c *Cursor) check(h *Header, head uint64) error {
	l := uint64(h.Length)
	switch {
	case head-c.pos.Offset > c.ring.geometry.DataBytes: // not lapped, so head is behind us
		return fmt.Errorf("%w: head is %d, before the reader's %d", ErrCorrupt, head, c.pos.Offset)
	case l < HeaderBytes || l%frameAlign != 0 || l > uint64(c.ring.geometry.LargestFrame) ||
		c.pos.Offset&c.ring.mask+l > c.ring.geometry.DataBytes || l > head-c.pos.Offset:
		return fmt.Errorf("%w: frame at %d has length %d, head is %d", ErrCorrupt, c.pos.Offset, l, head)
	case h.Kind == KindPad:
		return nil
	case c.resumed && (h.Seq < c.pos.Seq || h.RowsBefore < c.pos.Rows):
		return fmt.Errorf("%w: frame at %d counts %d frames, %d were read before it", ErrCorrupt, c.pos.Offset, h.Seq, c.pos.Seq)
	case !c.resumed && (h.Seq != c.pos.Seq || h.RowsBefore != c.pos.Rows):
		return fmt.Errorf("%w: frame at %d is number %d after row %d, expected %d after %d", ErrCorrupt, c.pos.Offset, h.Seq, h.RowsBefore, c.pos.Seq, c.pos.Rows)
	}
	sizes, err := c.rowSizes(int(h.Source))
	if err == nil && !h.extentsOK(sizes) {
		err = fmt.Errorf("%w: frame at %d describes rows outside itself", ErrCorrupt, c.pos.Offset)
	}
	return err
}

// rowSizes caches what the catalog, which never changes, says about a source.
func (c *Cursor) rowSizes(source int) (rowSizes, error) {
	for source >= len(c.sizes) {
		info, err := c.ring.Source(len(c.sizes))
		if err != nil {
			return rowSizes{}, err
		}
		c.sizes = append(c.sizes, rowSizes{info.KeySize, info.ValueSize})
	}
	return c.sizes[source], nil
}

func (c *Cursor) report() {
	if c.page != nil {
		c.page.store(c.pos, c.loss)
	}
}
