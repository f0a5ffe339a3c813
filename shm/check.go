// SPDX-License-Identifier: Apache-2.0

package shm

import "fmt"

// Check verifies the whole ring: the private account against the shared words,
// and every frame that a reader could still reach, one after the other, from
// tail to head. It takes no claims or commits meanwhile, and is meant for tests'
// cleanup and for diagnosis.
func (p *Publisher) Check() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, size := p.shared, p.geometry.DataBytes
	head, hw, tail, last := s.head.Load(), s.hw.Load(), s.tail.Load(), s.last.Load()
	switch {
	case head != p.head || hw != p.hw || last != p.last:
		return fmt.Errorf("%w: shared head %d hw %d last %d, private %d %d %d", ErrCorrupt, head, hw, last, p.head, p.hw, p.last)
	case head > p.next || p.next > hw:
		return fmt.Errorf("%w: head %d, next claim %d and hw %d are out of order", ErrCorrupt, head, p.next, hw)
	case hw-head > size/4:
		return fmt.Errorf("%w: %d bytes are in flight, at most %d may be", ErrCorrupt, hw-head, size/4)
	case p.front == p.back && p.next != head:
		return fmt.Errorf("%w: nothing is in flight, but the next claim is at %d and head at %d", ErrCorrupt, p.next, head)
	case tail > head || last > head || hw-tail > size:
		return fmt.Errorf("%w: tail %d and last %d are no places to resume, head %d, hw %d", ErrCorrupt, tail, last, head, hw)
	}
	for _, c := range *p.consumers.Load() {
		if m := &c.member; p.patience.timeout > 0 && !m.evicted && (m.seen > head || hw-m.seen > size) {
			return fmt.Errorf("%w: a member of this lossless ring is at %d, hw is %d, head %d", ErrCorrupt, m.seen, hw, head)
		}
	}
	pos := p.position(StartOldest, AnySource)
	end, sawLast, err := p.Ring().walk(pos)
	switch {
	case err != nil:
		return err
	case end.Seq != p.seq || end.Rows != p.rows:
		return fmt.Errorf("%w: %d frames and %d rows can be read, %d and %d were published", ErrCorrupt, end.Seq, end.Rows, p.seq, p.rows)
	case p.seq > 0 && !sawLast(last):
		return fmt.Errorf("%w: last %d is no frame", ErrCorrupt, last)
	}
	return nil
}

// walk reads from pos to head and verifies each frame on the way.
func (r *Ring) walk(from Position) (Position, func(last uint64) bool, error) {
	c := NewCursor(r, from, StartOldest, AnySource)
	starts := map[uint64]bool{}
	for {
		_, _, lost, s := c.Peek()
		switch s {
		case Ready:
			starts[c.Position().Offset] = true
			if lost != (Loss{}) {
				return c.pos, nil, fmt.Errorf("%w: %d frames are missing before %d", ErrCorrupt, lost.Frames, c.pos.Offset)
			}
			c.Advance()
		case Empty, Ended:
			return c.pos, func(at uint64) bool { return starts[at] }, nil
		default:
			return c.pos, nil, fmt.Errorf("at %d: %w", c.pos.Offset, c.err)
		}
	}
}
