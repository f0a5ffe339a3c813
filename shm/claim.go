// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"time"

	"github.com/ringside-bpf/ringside/shm/fence"
	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// claim is room in the ring that one producer is filling. Claims wait in a FIFO
// on the publisher's heap for all older ones to be committed; whether a claim is
// done is never written into the ring itself, whose bytes may be anything while
// the kernel fills them.
type claim struct {
	start  uint64 // where the claim begins
	pad    uint64 // bytes to skip before the frame, to keep it from wrapping
	cap    uint64 // bytes that may be filled
	length uint64 // bytes that were filled; 0 gives all of it back
	since  uint64 // when it was first seen open, by package monotonic; 0: not yet
	done   bool
	header Header
	source *sourceState
}

// reserve takes between least and most bytes at the end of the claimed part, if
// that leaves enough history readable; held reports that there is room, but a
// member of a lossless ring has not read what lies there. The caller holds p.mu.
//
// Ordering: hw is raised before any byte of the claim is written, by whoever
// writes it, the kernel included. A reader that copied a byte of this claim and
// then loads hw (loadLoad in between) sees it raised, and throws its copy away.
func (p *Publisher) reserve(least, most uint64) (_ *claim, held bool) {
	size := p.geometry.DataBytes
	pad, n := uint64(0), most
	if left := size - p.next&p.mask; left < most {
		if left >= max(least, most/4) {
			n = left // a shorter frame wastes less than a pad
		} else {
			pad = left
		}
	}
	end := p.next + pad + n
	// What is in flight is at most a quarter of the ring, so that at least
	// three quarters are history that readers can still read.
	if end-p.head > size/4 || p.back-p.front == maxClaims {
		return nil, false
	}
	if end > p.patience.limit && !p.admits(end) {
		return nil, true
	}
	if end > p.hw {
		p.hw = end
		if end > size { // tail first: a resuming reader checks it against hw
			seg := size / segments
			p.shared.tail.Store(p.bound[((end-size)/seg+2)%segments])
		}
		p.shared.hw.Store(end)
		fence.StoreStore()
	}
	// Nobody looks at the header before it is published, and then it must not be
	// waited for: its cache line comes while the frame is filled.
	p.data.store((p.next+pad)&p.mask, &words{})
	c := &p.fifo[p.back%maxClaims]
	*c = claim{start: p.next, pad: pad, cap: n}
	p.back++
	p.next = end
	return c, false
}

// take reserves, and waits for other producers' commits while there is no room.
// held reports that it is for members of a lossless ring to make it: see takeHeld.
func (p *Publisher) take(ctx context.Context, least, most uint64) (_ *claim, held bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if p.closing {
			return nil, false, ErrClosed
		}
		if c, held := p.reserve(least, most); c != nil || held {
			return c, held, nil
		}
		if err := p.waitLocked(ctx, nil); err != nil {
			return nil, false, err
		}
	}
}

// wakeLocked ends the wait of whoever is in waitLocked. The caller holds p.mu.
func (p *Publisher) wakeLocked() {
	if p.waiters > 0 {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// waitLocked waits for a commit, or until it is time to look again; a nil look is
// never. It is entered and left with p.mu held.
func (p *Publisher) waitLocked(ctx context.Context, look <-chan time.Time) error {
	p.waiters++
	changed := p.changed
	p.mu.Unlock()
	var err error
	select {
	case <-changed:
	case <-look:
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.mu.Lock()
	p.waiters--
	return err
}

// settle records that a claim is filled (or given back, with length 0), and
// makes visible every claim that is complete and has no older one in flight.
//
// Ordering: the bytes of a frame were stored by the producer before it locked
// p.mu here, or by the kernel on the producer's behalf, before its system call
// returned. Whoever advances head over them holds p.mu later, and stores head
// after. That chain (store, unlock, lock, store head) is transitive, so a reader
// that loads head with acquire sees all of it, whichever CPUs took part.
func (p *Publisher) settle(c *claim, length uint64) {
	p.mu.Lock()
	c.length, c.done = length, true
	if c == &p.fifo[(p.back-1)%maxClaims] {
		p.giveBack(c)
	}
	ring := false
	for !p.finished && p.front != p.back && p.fifo[p.front%maxClaims].done {
		d := &p.fifo[p.front%maxClaims]
		p.front++
		ring = p.publish(d) || ring
	}
	p.shared.head.Store(p.head)
	p.shared.last.Store(p.last)
	if p.head-p.rung > p.geometry.DataBytes/ringShare {
		ring = true
	}
	if ring {
		p.rung = p.head
	}
	p.wakeLocked()
	p.mu.Unlock()
	if ring {
		p.ringSleepers()
	}
}

// watch notes which claims are being filled and returns the age of the oldest,
// 0 if there is none. Every heartbeat does it: the age is too small by one of
// them at most, and making a claim need not look at the clock, which would cost
// half as much as publishing a frame does. The caller holds p.mu.
func (p *Publisher) watch(now uint64) (oldest uint64) {
	for i := p.front; i != p.back; i++ {
		c := &p.fifo[i%maxClaims]
		if c.done {
			continue
		}
		if c.since == 0 {
			c.since = now
		}
		oldest = max(oldest, now-min(now, c.since), 1) // now may have waited for p.mu
	}
	return oldest
}

// giveBack returns what the newest claim did not use. hw stays: those bytes may
// have been written.
func (p *Publisher) giveBack(c *claim) {
	if c.length == 0 {
		p.next = c.start
		p.back--
		return
	}
	c.cap = c.length
	p.next = c.start + c.pad + c.cap
}

// publish moves head over a settled claim and reports whether sleepers should
// hear of it: in the middle of a scan nobody is rung, the end of it will do.
func (p *Publisher) publish(d *claim) (ring bool) {
	if d.start != p.head {
		panic("shm: claims are out of order") // a bug here, never a reader's doing
	}
	p.pad(d.pad)
	if d.length > 0 {
		h := &d.header
		h.Length, h.Seq, h.RowsBefore = uint32(d.length), p.seq, p.rows
		w := h.encode()
		p.data.store(p.head&p.mask, &w)
		p.index()
		d.source.published(h, p.head)
		if h.TimeNS == 0 { // nothing comes after it but the stores that publish, and frames that had to wait for it
			w[timeWord] = monotonic.Now()
			p.data.store(p.head&p.mask, &w)
		}
		p.last = p.head
		p.seq++
		p.rows += uint64(h.Rows)
		p.head += d.length
		ring = h.Kind != KindRows || h.Flags&FlagLast != 0
	}
	p.pad(d.cap - d.length)
	return ring
}

// pad covers bytes that hold nothing. A pad carries the counts of the frame that
// follows, so that a reader may start at it.
func (p *Publisher) pad(n uint64) {
	if n == 0 {
		return
	}
	h := Header{Length: uint32(n), Kind: KindPad, Seq: p.seq, RowsBefore: p.rows}
	w := h.encode()
	p.data.store(p.head&p.mask, &w)
	p.index()
	p.head += n
}

// index notes that a frame starts at head, for tail.
func (p *Publisher) index() {
	seg := p.geometry.DataBytes / segments
	for ; p.known <= p.head/seg; p.known++ {
		p.bound[p.known%segments] = p.head
	}
}
