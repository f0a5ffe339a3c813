// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// On a lossless ring a claim waits until no member would lose a byte by it. What
// members write is read once, believed only forwards, and never waited on: the
// wait is a timer's. A member that holds claims up must reach the head of that
// moment within the stall timeout, however much it reads on the way; else it is
// evicted, which means that nobody waits for it any more. It reads on as on a
// lossy ring, and hw tells it what it can trust, as it does there.

const (
	defaultStall = 2 * time.Second
	// barFactor: who was evicted may come back after this many stall timeouts.
	barFactor = 10

	// Claims look again after firstLook, then ever later up to lastLook: a
	// reader that is nearly there should not cost a millisecond.
	firstLook = 50 * time.Microsecond
	lastLook  = time.Millisecond
)

// patience is what a lossless ring has with its members. Guarded by Publisher.mu.
type patience struct {
	timeout uint64 // ns; 0: the ring is lossy
	// limit is how far claims may go before members are looked at again. On a
	// lossy ring it is out of reach, and comparing with it is all that is paid.
	limit uint64

	waiting int    // claims that are held up
	since   uint64 // when the first of them began to be
	stats   Delivery
	records map[uint32]conduct // by uid
}

// conduct is what a user's consumers have done. It is kept for as long as a bar
// lasts, so there are no more of them than users who may attach.
type conduct struct {
	held  uint64 // ns that claims were held up for consumers that are gone, of the timeout
	at    uint64
	until uint64 // barred
}

// member is a consumer that a lossless ring waits for. Guarded by Publisher.mu.
type member struct {
	seen     uint64 // it has read everything before this
	evicted  bool
	goal     uint64 // where it has to be in time; 0: it holds up nobody
	asked    uint64 // when it began to
	deadline uint64
}

// Delivery is how a lossless ring's members have kept up, since it was created.
type Delivery struct {
	Stalls    uint64 // claims that waited for a member
	StalledNS uint64 // time in which at least one claim did
	Waiting   int    // claims that do at this moment
	Evictions uint64
}

// Delivery is all zero on a lossy ring.
func (p *Publisher) Delivery() Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.patience.stats
	d.Waiting = p.patience.waiting
	if d.Waiting > 0 {
		d.StalledNS += monotonic.Now() - p.patience.since
	}
	return d
}

func newPatience(c Config) patience {
	if !c.Lossless {
		return patience{limit: math.MaxUint64}
	}
	if c.StallTimeout <= 0 {
		c.StallTimeout = defaultStall
	}
	return patience{timeout: uint64(c.StallTimeout), records: map[uint32]conduct{}}
}

// admits reports whether claims may go as far as end, which is beyond the limit,
// and evicts whose time is up. The caller holds p.mu: consumers leave the list
// under it before their page is unmapped.
func (p *Publisher) admits(end uint64) bool {
	now, size := monotonic.Now(), p.geometry.DataBytes
	limit := uint64(math.MaxUint64)
	for _, c := range *p.consumers.Load() {
		m := &c.member
		if m.evicted {
			continue
		}
		honest := p.progress(c)
		if honest && m.seen+size < end && m.goal == 0 {
			m.goal, m.asked = p.head, now
			m.deadline = now + p.patience.timeout - min(p.patience.of(c.uid, now).held, p.patience.timeout)
		}
		if !honest || m.seen+size < end && now >= m.deadline {
			p.evict(c, now)
			continue
		}
		limit = min(limit, m.seen+size)
	}
	p.patience.limit = limit
	return end <= limit
}

// progress looks how far a member is, and reports whether that can be. Positions
// only grow: one that went back is as good as one that stands still.
func (p *Publisher) progress(c *Consumer) bool {
	cursor := c.shared.cursor.Load() // once
	if cursor > p.head {
		return false
	}
	m := &c.member
	m.seen = max(m.seen, cursor)
	if m.goal != 0 && m.seen >= m.goal {
		m.goal = 0
		if p.patience.records[c.uid].until <= m.asked { // a bar stays
			delete(p.patience.records, c.uid)
		}
	}
	return true
}

// evict ceases to wait for a member. Its page says so for the application's
// sake; what it may still believe is said by hw, which is raised later.
func (p *Publisher) evict(c *Consumer, now uint64) {
	c.member.evicted = true
	c.shared.evicted.Store(1)
	p.patience.stats.Evictions++
	p.patience.bar(c.uid, now)
}

// of is a user's record; a bar that is over is forgotten, and so is what led to it.
func (t *patience) of(uid uint32, now uint64) conduct {
	r := t.records[uid]
	if r.until != 0 && now >= r.until {
		return conduct{}
	}
	return r
}

// bar keeps a user away. What else the user has attached stays, but has half the
// time that this one had, the next one half of that: all of them together hold
// claims up no longer than two could.
func (t *patience) bar(uid uint32, now uint64) {
	held := min(t.of(uid, now).held, t.timeout)
	t.keep(uid, conduct{held: (held + t.timeout) / 2, at: now, until: now + barFactor*t.timeout})
}

func (t *patience) keep(uid uint32, r conduct) {
	for other, old := range t.records {
		if now := r.at; now-min(now, old.at) > barFactor*t.timeout {
			delete(t.records, other)
		}
	}
	t.records[uid] = r
}

// join makes a consumer a member, unless its user is barred. The caller holds p.mu.
func (p *Publisher) join(c *Consumer) error {
	t := &p.patience
	if t.timeout == 0 {
		return nil
	}
	if until, now := t.records[c.uid].until, monotonic.Now(); now < until {
		return fmt.Errorf("ring %q: %w: uid %d did not keep up with this lossless ring for %v and was evicted; it may attach again in %v, and should then read faster or ask for a larger ring",
			p.geometry.Name, ErrBarred, c.uid, time.Duration(t.timeout), time.Duration(until-now).Round(time.Second))
	}
	c.member.seen = c.shared.cursor.Load() // as was just stored
	t.limit = 0                            // it may be behind all others
	return nil
}

// leave ends a membership. A consumer that left while it held claims up leaves
// that time to its user, whose next one would start anew otherwise, for ever. The
// caller holds p.mu, and c is not in the list any more.
func (p *Publisher) leave(c *Consumer) {
	t := &p.patience
	if t.timeout == 0 {
		return
	}
	t.limit = 0
	p.wakeLocked()
	m := &c.member
	if t.waiting == 0 || m.evicted || m.goal == 0 || p.progress(c) && m.goal == 0 {
		return
	}
	now := monotonic.Now()
	r := t.of(c.uid, now)
	r.held, r.at = r.held+now-m.asked, now
	if r.held >= t.timeout {
		t.bar(c.uid, now)
		return
	}
	t.keep(c.uid, r)
}

// takeHeld is take once a member holds up the claim.
func (p *Publisher) takeHeld(ctx context.Context, least, most uint64) (*claim, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.beginStall()
	defer p.endStall()
	look := firstLook
	timer := time.NewTimer(look)
	defer timer.Stop()
	for !p.closing {
		if c, _ := p.reserve(least, most); c != nil {
			return c, nil
		}
		if err := p.waitLocked(ctx, timer.C); err != nil {
			return nil, err
		}
		look = min(2*look, lastLook)
		timer.Reset(look)
	}
	return nil, ErrClosed
}

// beginStall counts a held-up claim, and rings whoever sleeps over what it has
// not been told of yet: nobody sleeps when it is at head.
func (p *Publisher) beginStall() {
	t := &p.patience
	if t.stats.Stalls++; t.waiting == 0 {
		t.since = monotonic.Now()
	}
	t.waiting++
	if p.rung != p.head {
		p.rung = p.head
		p.mu.Unlock()
		p.ringSleepers()
		p.mu.Lock()
	}
}

func (p *Publisher) endStall() {
	t := &p.patience
	if t.waiting--; t.waiting == 0 {
		t.stats.StalledNS += monotonic.Now() - t.since
	}
}

// standing is how a consumer does as a member.
func (p *Publisher) standing(c *Consumer) (evicted bool, holdsNS uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := &c.member; m.goal != 0 && !m.evicted && p.patience.waiting > 0 {
		holdsNS = monotonic.Now() - m.asked
	}
	return c.member.evicted, holdsNS
}
