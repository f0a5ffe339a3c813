// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// feedback is a consumer's control page, word by word: written by the consumer
// and, but for the two that the publisher takes back and for evicted, only there.
// The publisher reads each word once, bounds it, and depends on none.
type feedback struct {
	cursor, sleep              *atomic.Uint64
	nextSeq, nextRows          *atomic.Uint64
	lostFrames, lostRows, laps *atomic.Uint64
	ask                        *atomic.Uint64 // which keyframe is wanted
	evicted                    *atomic.Uint64 // stored by the publisher
}

func feedbackOf(m memory) feedback {
	return feedback{
		cursor: m.word(offConsCursor), sleep: m.word(offConsSleep),
		nextSeq: m.word(offConsNextSeq), nextRows: m.word(offConsNextRows),
		lostFrames: m.word(offConsLostFrames), lostRows: m.word(offConsLostRows), laps: m.word(offConsLaps),
		ask: m.word(offConsAsk), evicted: m.word(offConsEvicted),
	}
}

// Start says where a new consumer begins.
type Start uint32

const (
	// StartKeyframe begins at the newest complete scan that is still there (of
	// the oldest among several sources), else at head.
	StartKeyframe Start = 0
	// StartOldest begins at the oldest frame from which one is not lapped at once.
	StartOldest Start = 1
	// StartHead begins with what comes next.
	StartHead Start = 2
)

// AnySource stands for all sources of a ring.
const AnySource = 0xffff

// Position is a place between two frames: everything a cursor has to know to
// account for all that follows it.
type Position struct {
	Offset uint64 // bytes published before it
	Seq    uint64 // frames
	Rows   uint64 // rows
}

// Consumer is the publisher's side of one attached reader.
type Consumer struct {
	p    *Publisher
	file *os.File
	uid  uint32
	bell *bell // shared by the consumers of this uid

	member member // of a lossless ring

	mu     sync.Mutex // guards the mapping against Detach
	page   memory     // nil once detached
	shared feedback
}

// Attach creates the control page of a new consumer of user uid, picks its start,
// and gives it a bell, which it shares with the user's other consumers.
func (p *Publisher) Attach(start Start, source uint16, uid uint32) (*Consumer, Position, error) {
	c, err := p.newConsumer(uid)
	if err != nil {
		return nil, Position{}, err
	}
	pos, err := p.register(c, start, source)
	if err != nil {
		c.release()
	}
	return c, pos, err
}

func (p *Publisher) newConsumer(uid uint32) (*Consumer, error) {
	f, err := createMemfd("ringside-consumer", consumerBytes)
	if err != nil {
		return nil, err
	}
	page, err := mapFile(f, consumerBytes, unix.PROT_READ|unix.PROT_WRITE)
	if err == nil {
		err = seal(f, controlSeals)
	}
	var b *bell
	if err == nil {
		b, err = p.bellOf(uid)
	}
	if err != nil {
		f.Close()
		unmap(page)
		return nil, fmt.Errorf("control page and bell: %w", err)
	}
	return &Consumer{p: p, uid: uid, bell: b, page: page, file: f, shared: feedbackOf(page)}, nil
}

func (p *Publisher) register(c *Consumer, start Start, source uint16) (Position, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return Position{}, ErrClosed
	}
	pos := p.position(start, source)
	c.shared.cursor.Store(pos.Offset)
	c.shared.nextSeq.Store(pos.Seq)
	c.shared.nextRows.Store(pos.Rows)
	if err := p.join(c); err != nil {
		return Position{}, err
	}
	list := withConsumer(*p.consumers.Load(), c)
	p.consumers.Store(&list)
	return pos, nil
}

// File is the control page's descriptor, to be passed to the consumer.
func (c *Consumer) File() *os.File { return c.file }

// Bell is the descriptor by which the consumer is woken, to be passed to it.
func (c *Consumer) Bell() *os.File { return c.bell.file }

// Detach forgets the consumer. Its own mapping stays its own affair.
func (c *Consumer) Detach() {
	c.p.mu.Lock()
	list := slices.DeleteFunc(slices.Clone(*c.p.consumers.Load()), func(x *Consumer) bool { return x == c })
	c.p.consumers.Store(&list)
	c.p.leave(c)
	c.p.mu.Unlock()
	c.release()
}

func (c *Consumer) release() {
	c.mu.Lock()
	page := c.page
	c.page = nil
	c.mu.Unlock()
	if page == nil {
		return
	}
	c.file.Close()
	unmap(page)
	c.p.leaveBell(c.uid, c.bell)
}

// takeSleep lowers the consumer's sleep flag and reports whether it was up.
func (c *Consumer) takeSleep() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.page != nil && c.shared.sleep.Load() != 0 && c.shared.sleep.Swap(0) != 0
}

// position finds a start. The caller holds p.mu, so nothing is claimed and
// nothing overwritten meanwhile; the header read is this process's own.
func (p *Publisher) position(start Start, source uint16) Position {
	at := p.Ring().place(start, source, p.head)
	if at >= p.head {
		return Position{p.head, p.seq, p.rows}
	}
	var w words
	var h Header
	p.data.load(at&p.mask, &w)
	h.decode(&w)
	return Position{at, h.Seq, h.RowsBefore}
}

// TakeAsk takes back which keyframe the consumer wants: of one source, or of
// AnySource. A number that no source has is the consumer's to have written.
func (c *Consumer) TakeAsk() (source uint16, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.page == nil || c.shared.ask.Load() == 0 { // mostly: no locked instruction
		return 0, false
	}
	switch n := c.shared.ask.Swap(0); {
	case n == askAll:
		return AnySource, true
	case n > 0 && n < askAll:
		return uint16(n - 1), true
	}
	return 0, false
}

// ConsumerStats is what a consumer says of itself, bounded by what is possible.
type ConsumerStats struct {
	LagFrames, LagRows   uint64
	LostFrames, LostRows uint64
	Laps                 uint64
	Asleep               bool
	// Evicted: a lossless ring does not wait for it any more. The publisher's
	// own word, as HoldsNS is: how long it has been holding claims up.
	Evicted bool
	HoldsNS uint64
}

// Stats reads the consumer's control page. The numbers are the consumer's own:
// a lying one misleads whoever reads its line, nobody else.
func (c *Consumer) Stats() ConsumerStats {
	t := c.p.Totals()
	evicted, holds := c.p.standing(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.page == nil {
		return ConsumerStats{}
	}
	behind := func(total, own uint64) uint64 { return total - min(own, total) }
	return ConsumerStats{
		LagFrames:  behind(t.Frames, c.shared.nextSeq.Load()),
		LagRows:    behind(t.Rows, c.shared.nextRows.Load()),
		LostFrames: min(c.shared.lostFrames.Load(), t.Frames),
		LostRows:   min(c.shared.lostRows.Load(), t.Rows),
		Laps:       min(c.shared.laps.Load(), t.Frames),
		Asleep:     c.shared.sleep.Load() != 0,
		Evicted:    evicted,
		HoldsNS:    holds,
	}
}
